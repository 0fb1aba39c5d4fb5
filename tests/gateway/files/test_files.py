"""GET /v1/files: what is known of a file, its bytes and artifacts; and what is removed when."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.door.problems import Refused
from gateway.files.book import FileBook
from gateway.files.cleanup import remove_orphans
from gateway.files.downloads import Slice, wanted_range
from shared.contracts import new_id
from shared.objects import Objects
from shared.settings import Secret
from tests.gateway.door.conftest import Query
from tests.gateway.files.conftest import kept
from tests.until import until

CONTENT = bytes(range(250)) * 10


async def upload(client: AsyncClient, name: str = "a.bin") -> str:
    headers = {"content-type": "text/html"}
    answer = await client.post("/v1/files", params={"name": name}, content=CONTENT, headers=headers)
    return str(answer.json()["id"])


async def say(client: AsyncClient, type_: str, data: dict[str, Any]) -> None:
    event = {"specversion": "1.0", "id": new_id(), "source": "/file", "type": type_, "data": data}
    headers = {"content-type": "application/cloudevents+json"}
    assert (await client.post("/v1/events", json=event, headers=headers)).status_code == 202


async def reaches(client: AsyncClient, file_id: str, status: str) -> dict[str, Any]:
    async def there() -> dict[str, Any] | None:
        file = (await client.get(f"/v1/files/{file_id}")).json()
        return file if file["status"] == status else None

    return await until(there, what=status)


async def test_a_processed_file_shows_its_profile_and_gives_its_artifacts(
    client: AsyncClient, folder: Path
) -> None:
    file_id = await upload(client)
    (folder / "files" / file_id / "artifacts").mkdir()
    (folder / "files" / file_id / "artifacts" / "profile.json").write_bytes(b"{}")
    artifact = {"name": "profile.json", "media_type": "application/json", "size_bytes": 2}

    await say(
        client, "file.processed", {"file_id": file_id, "profile": {"kind": "other"}, "artifacts": [artifact]}
    )
    file = await reaches(client, file_id, "processed")

    href = f"/v1/files/{file_id}/artifacts/profile.json"
    assert (file["profile"], file["artifacts"]) == ({"kind": "other"}, [{**artifact, "href": href}])
    assert (await client.get(href)).json() == {}
    assert (await client.get(f"/v1/files/{file_id}/artifacts/content")).status_code == 404
    # What comes late or twice changes nothing.
    await say(client, "file.rejected", {"file_id": file_id, "reason": "late"})
    await say(client, "file.rejected", {"file_id": (other := await upload(client)), "reason": "line 17"})
    assert (await reaches(client, other, "rejected"))["reason"] == "line 17"
    assert (await reaches(client, file_id, "processed"))["reason"] is None


async def test_the_bytes_come_back_to_be_saved_and_not_to_be_run(client: AsyncClient) -> None:
    file_id = await upload(client, "na\xefve.html")

    answer = await client.get(f"/v1/files/{file_id}/content")

    assert answer.content == CONTENT
    assert answer.headers["content-type"] == "text/html"
    assert answer.headers["x-content-type-options"] == "nosniff"
    disposition = "attachment; filename=\"naive.html\"; filename*=UTF-8''na%C3%AFve.html"
    assert answer.headers["content-disposition"] == disposition


async def test_a_download_is_taken_up_where_it_broke_off(client: AsyncClient) -> None:
    url = f"/v1/files/{await upload(client)}/content"
    whole = await client.get(url)
    if_range = {"if-range": whole.headers["etag"]}

    rest = await client.get(url, headers={"range": "bytes=1000-", **if_range})
    changed = await client.get(url, headers={"range": "bytes=1000-", "if-range": '"other"'})
    behind = await client.get(url, headers={"range": "bytes=2500-"})
    known = await client.get(url, headers={"if-none-match": whole.headers["etag"]})

    assert (rest.status_code, rest.content) == (206, CONTENT[1000:])
    assert rest.headers["content-range"] == "bytes 1000-2499/2500"
    assert (changed.status_code, changed.content) == (200, CONTENT)
    assert (behind.status_code, behind.headers["content-range"]) == (416, "bytes */2500")
    assert (known.status_code, known.content) == (304, b"")


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-0", Slice(0, 1)),
        ("bytes=10-", Slice(10, 90)),
        ("bytes=10-500", Slice(10, 90)),
        ("bytes=-7", Slice(93, 7)),
        ("bytes=-700", Slice(0, 100)),
        ("bytes=7-3", None),
        ("bytes=0-1,4-5", None),
        ("lines=0-1", None),
        ("", None),
    ],
)
def test_one_range_of_bytes_is_understood(header: str, part: Slice | None) -> None:
    assert wanted_range(header, 100) == part


@pytest.mark.parametrize(("header", "size"), [("bytes=100-", 100), ("bytes=-0", 100), ("bytes=0-", 0)])
def test_a_range_behind_the_end_is_refused(header: str, size: int) -> None:
    with pytest.raises(Refused, match="bytes"):
        wanted_range(header, size)


async def test_files_are_listed_newest_first_page_by_page(client: AsyncClient) -> None:
    ids = [await upload(client) for _ in range(3)]

    first = (await client.get("/v1/files?limit=2&status=uploaded")).json()
    second = (await client.get("/v1/files", params={"limit": 2, "cursor": first["next"]})).json()

    assert [_ids(first["items"]), _ids(second["items"])] == [ids[:0:-1], ids[:1]]
    assert second["next"] is None
    assert (await client.get("/v1/files?cursor=x")).status_code == 422
    assert (await client.get("/v1/files?status=processed")).json()["items"] == []


async def test_a_removed_file_is_gone_with_its_bytes(client: AsyncClient, folder: Path) -> None:
    file_id = await upload(client)

    assert (await client.delete(f"/v1/files/{file_id}")).status_code == 204

    assert not kept(folder)
    for gone in (f"/v1/files/{file_id}", f"/v1/files/{file_id}/content", "/v1/files/x"):
        assert (await client.get(gone)).status_code == 404
    assert (await client.delete(f"/v1/files/{file_id}")).status_code == 404


async def test_cleanup_removes_old_bytes_that_no_file_has(
    client: AsyncClient, folder: Path, engine: AsyncEngine
) -> None:
    file_id, orphan = await upload(client), new_id()
    objects, book = Objects(Secret(folder.as_uri())), FileBook(engine)
    await objects.put_bytes(f"files/{orphan}/content", b"x")
    await objects.put_bytes(f"files/{orphan}/artifacts/profile.json", b"{}")
    await objects.put_bytes("reports/1.pdf", b"x")
    (folder / "files" / orphan / "content#1").write_bytes(b"of an upload whose gateway was killed")

    assert await remove_orphans(objects, book) == 0
    assert await remove_orphans(objects, book, older_than=timedelta(0)) == 3

    assert {str(path.relative_to(folder)) for path in kept(folder)} == {
        f"files/{file_id}/content",
        "reports/1.pdf",
    }


def _ids(items: Sequence[dict[str, Any]]) -> list[str]:
    return [item["id"] for item in items]


async def test_a_file_whose_job_is_dead_is_rejected_until_the_job_runs_again(
    client: AsyncClient, query: Query
) -> None:
    file_id = await upload(client)
    event_id = (await client.get(f"/v1/files/{file_id}")).json()["event_id"]
    await query(
        """INSERT INTO gateway.jobs (id, handler, service, event_id, event_type, state, attempt, max_attempts,
                                     queued_at, position, failure)
           VALUES ($1, 'file.process', 'file', $2::uuid, 'file.uploaded', 'dead', 3, 3, now(), 0,
                   E'HardTimeLimitExceeded: 600 s\\nexhausted')""",
        f"file.process:{event_id}",
        event_id,
    )

    dead = (await client.get(f"/v1/files/{file_id}")).json()
    listed = (await client.get("/v1/files", params={"status": "rejected"})).json()["items"]
    still_uploaded = (await client.get("/v1/files", params={"status": "uploaded"})).json()["items"]
    await query("UPDATE gateway.jobs SET state = 'running'")
    running = (await client.get(f"/v1/files/{file_id}")).json()

    reason = "its job is dead: HardTimeLimitExceeded: 600 s"
    assert (dead["status"], dead["reason"]) == ("rejected", reason)
    assert [(file["id"], file["reason"]) for file in listed] == [(file_id, reason)]
    assert still_uploaded == []
    assert (running["status"], running["reason"]) == ("uploaded", None)
