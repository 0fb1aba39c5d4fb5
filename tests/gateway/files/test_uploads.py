"""POST /v1/files: what is kept, what is refused, and that nothing stays of what is refused."""

import asyncio
import hashlib
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from httpx import AsyncClient

from gateway.door.problems import Refused
from gateway.files.multipart import OneFile
from gateway.files.names import attachment, file_name
from tests.gateway.door.conftest import ADMIN, Query
from tests.gateway.files.conftest import MOST_BYTES, kept
from tests.until import until

CSV = b"sku,quantity\nA-1,2\n"
TEXT_CSV = {"content-type": "text/csv"}


async def test_a_file_is_kept_with_its_row_and_event(client: AsyncClient, folder: Path, query: Query) -> None:
    answer = await client.post("/v1/files?name=orders.csv", content=CSV, headers=TEXT_CSV)

    assert answer.status_code == 202
    file = answer.json()
    assert answer.headers["location"] == f"/v1/files/{file['id']}"
    assert (file["status"], file["name"], file["media_type"]) == ("uploaded", "orders.csv", "text/csv")
    assert (file["size_bytes"], file["sha256"]) == (len(CSV), hashlib.sha256(CSV).hexdigest())
    assert (folder / "files" / file["id"] / "content").read_bytes() == CSV
    [event] = await query("SELECT id::text, data FROM gateway.events WHERE type = 'file.uploaded'")
    assert event["id"] == file["event_id"]
    assert json.loads(event["data"]) == {
        "file_id": file["id"],
        **{key: file[key] for key in ("name", "media_type", "size_bytes", "sha256")},
    }
    assert (await client.get(answer.headers["location"])).json()["status"] == "uploaded"


async def test_a_form_with_one_file_is_an_upload_too(client: AsyncClient, folder: Path) -> None:
    content = bytes(range(256)) * 2000

    answer = await client.post("/v1/files", files={"anything": ("blob.bin", content, "application/x-own")})

    file = answer.json()
    assert (answer.status_code, file["name"], file["media_type"]) == (202, "blob.bin", "application/x-own")
    assert (folder / "files" / file["id"] / "content").read_bytes() == content


FORM = {"content-type": "multipart/form-data; boundary=b"}
PART = b'--b\r\ncontent-disposition: form-data; name="%b"%b\r\n\r\nx\r\n'
ONE_FILE = PART % (b"file", b'; filename="a.csv"')
REFUSED: dict[str, tuple[int, str, bytes, dict[str, str]]] = {
    "no name": (422, "/v1/files", CSV, TEXT_CSV),
    "two names": (422, "/v1/files?name=a&name=b", CSV, TEXT_CSV),
    "a name that is none": (422, "/v1/files?name=..%2F..", CSV, TEXT_CSV),
    "a name with a control character": (422, "/v1/files?name=a%00.csv", CSV, TEXT_CSV),
    "a name of 300 characters": (422, f"/v1/files?name={'a' * 300}", CSV, TEXT_CSV),
    "a media type that is none": (422, "/v1/files?name=a.csv", CSV, {"content-type": "csv"}),
    "compressed on its way": (
        415,
        "/v1/files?name=a.csv",
        CSV,
        TEXT_CSV | {"content-encoding": "gzip"},
    ),
    "a form without a boundary": (415, "/v1/files", CSV, {"content-type": "multipart/form-data"}),
    "a form that is none": (400, "/v1/files", CSV, FORM),
    "a form that breaks off": (400, "/v1/files", ONE_FILE, FORM),
    "a form without a file": (422, "/v1/files", b"--b--\r\n", FORM),
    "a form with a field": (422, "/v1/files", PART % (b"note", b"") + ONE_FILE + b"--b--\r\n", FORM),
    "a form with two files": (422, "/v1/files", ONE_FILE * 2 + b"--b--\r\n", FORM),
    "a wrong digest": (
        422,
        "/v1/files?name=a.csv",
        CSV,
        TEXT_CSV | {"repr-digest": f"sha-256=:{b64encode(bytes(32)).decode()}:"},
    ),
    "a digest that is none": (
        422,
        "/v1/files?name=a.csv",
        CSV,
        TEXT_CSV | {"content-digest": "sha-256=:YQ==:"},
    ),
}


async def test_what_is_no_upload_is_refused_and_leaves_nothing(
    client: AsyncClient, folder: Path, query: Query
) -> None:
    answers = {
        what: await client.post(url, content=body, headers=headers)
        for what, (_, url, body, headers) in REFUSED.items()
    }

    assert {what: answer.status_code for what, answer in answers.items()} == {
        what: case[0] for what, case in REFUSED.items()
    }
    assert all(answer.headers["content-type"] == "application/problem+json" for answer in answers.values())
    assert not kept(folder)
    assert not await query("SELECT FROM gateway.files")


async def test_a_key_that_may_only_read_uploads_nothing(client: AsyncClient, folder: Path) -> None:
    answer = await client.post(
        "/v1/files?name=a.csv", content=CSV, headers={"authorization": "Bearer only-read"}
    )

    assert (answer.status_code, answer.json()["scope"]) == (403, "publish")
    assert not kept(folder)


async def test_a_file_that_is_announced_too_large_is_refused_before_it_is_sent(client: AsyncClient) -> None:
    reader, writer = await _connect(client)

    writer.write(_head(client, f"content-length: {MOST_BYTES + 1}"))
    status_line = await asyncio.wait_for(reader.readline(), 5)

    assert b" 413 " in status_line
    writer.close()


@pytest.mark.parametrize("sent", ["as a body", "as a form"])
async def test_a_file_that_grows_too_large_is_refused_and_leaves_nothing(
    client: AsyncClient, folder: Path, sent: str
) -> None:
    is_form = sent == "as a form"

    async def chunks() -> AsyncIterator[bytes]:
        if is_form:
            yield ONE_FILE.removesuffix(b"\r\n")
        for _ in range(MOST_BYTES // 50_000 + 4):
            yield b"x" * 50_000

    answer = await client.post(
        "/v1/files?name=a.csv", content=chunks(), headers=FORM if is_form else TEXT_CSV
    )

    assert (answer.status_code, answer.json()["type"]) == (413, "/problems/file-too-large")
    assert not kept(folder)


async def test_a_client_that_leaves_in_the_middle_leaves_nothing(
    client: AsyncClient, folder: Path, query: Query
) -> None:
    _, writer = await _connect(client)
    writer.write(_head(client, "content-length: 900000") + b"x" * 400_000)
    await writer.drain()

    writer.close()
    answer = await client.post("/v1/files?name=whole.csv", content=CSV, headers=TEXT_CSV)

    async def only_the_whole_one() -> bool:
        return [path.parent.name for path in kept(folder)] == [answer.json()["id"]]

    await until(only_the_whole_one)
    assert len(await query("SELECT FROM gateway.files")) == 1


async def test_the_same_upload_again_with_a_key_has_one_effect(client: AsyncClient, folder: Path) -> None:
    key = {"idempotency-key": "upload-1"}

    # A form has a new boundary each time; what counts is the file.
    first, again = [
        await client.post("/v1/files", files={"file": ("a.csv", CSV, "text/csv")}, headers=key)
        for _ in range(2)
    ]
    other = await client.post("/v1/files", files={"file": ("a.csv", CSV * 2, "text/csv")}, headers=key)

    assert (first.status_code, again.content, again.headers["idempotent-replayed"]) == (
        202,
        first.content,
        "true",
    )
    assert (other.status_code, other.json()["type"]) == (422, "/problems/idempotency-key-reused")
    assert [path.parent.name for path in kept(folder)] == [first.json()["id"]]


async def test_a_commit_that_fails_removes_the_bytes(client: AsyncClient, folder: Path, query: Query) -> None:
    structlog.configure(processors=[structlog.processors.KeyValueRenderer()])  # a traceback as it is: at once
    await query("ALTER TABLE gateway.files ADD CHECK (name <> 'a.csv')")

    answer = await client.post("/v1/files?name=a.csv", content=CSV, headers=TEXT_CSV)

    assert answer.status_code == 500
    assert not kept(folder)
    assert not await query("SELECT FROM gateway.events")


@pytest.mark.parametrize(
    ("given", "name"),
    {
        "orders.csv": "orders.csv",
        "../../etc/passwd": "passwd",
        "C:\\Users\\ada\\a.csv": "a.csv",
        "/absolute/a b.csv": "a b.csv",
        " .hidden ": ".hidden",
        "Za\u0301.csv": "Z\xe1.csv",
        "x" * 200: "x" * 200,
    }.items(),
)
def test_a_name_is_kept_as_its_last_segment(given: str, name: str) -> None:
    assert file_name(given) == name


@pytest.mark.parametrize(
    "given", ["", " ", "..", "a/", "a\n.csv", "a\x7f", "x" * 201, "a\u202efdp.exe", "a\ud800.csv"]
)
def test_a_name_that_cannot_be_shown_is_refused(given: str) -> None:
    with pytest.raises(Refused, match="name: "):
        file_name(given)


def test_a_name_cannot_break_out_of_its_header() -> None:
    assert attachment('a"; evil=\xe9.csv') == (
        "attachment; filename=\"a__ evil_e.csv\"; filename*=UTF-8''a%22%3B%20evil%3D%C3%A9.csv"
    )


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_a_form_is_read_however_it_is_cut(size: int) -> None:
    content = b"\r\n--b\r-\n--\r\n--" * 40
    body = b'--bound\r\nContent-Disposition: form-data; name="f"; filename="%22.csv"\r\n\r\n'
    body += content + b"\r\n--bound--\r\n"

    form = OneFile('multipart/form-data; boundary="bound"')
    found = b"".join(form.feed(body[at : at + size]) for at in range(0, len(body), size))
    form.finish()

    assert (found, form.name, form.media_type) == (content, '".csv', None)


async def _connect(client: AsyncClient) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(client.base_url.host, client.base_url.port)


def _head(client: AsyncClient, header: str) -> bytes:
    key: Any = ADMIN["Authorization"]
    return (
        f"POST /v1/files?name=a.csv HTTP/1.1\r\nhost: {client.base_url.host}\r\n"
        f"authorization: {key}\r\ncontent-type: text/csv\r\n{header}\r\n\r\n"
    ).encode()
