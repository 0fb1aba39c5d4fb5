"""file.process in the running system's way: an upload at the door, a child process, artifacts to be had."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from httpx import AsyncClient

from file_service.handlers import SETTINGS, handlers
from gateway.settings import GatewaySettings
from shared.service import Service
from shared.settings import Secret
from tests.file_service.hostile import ROWS, png, zip_of
from tests.gateway.door.conftest import served, settings
from tests.until import until

__all__ = ["settings"]

MANY_ROWS = b"id,name,price\n" + b"".join(b"%d,name-%d,%d.5\n" % (n, n % 7, n % 100) for n in range(200_000))
UPLOADS = {
    "orders.csv": MANY_ROWS,
    "short.csv": ROWS + b"1,2\n",
    "bomb.png": png(100_000, 100_000),
    "bomb.zip": zip_of({"a": bytes(110_000_000)}),
    "page.jpg": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01<html>",
    "empty": b"",
}


@pytest.fixture
async def system(
    settings: GatewaySettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[AsyncClient]:
    """The gateway, and the file service beside it with children of its own."""
    files_url = (tmp_path / "objects").as_uri()
    monkeypatch.setenv("FILES_URL", files_url)  # a child reads its own environment
    of_service = SETTINGS.model_copy(
        update={"files_url": Secret(files_url), "redis_url": settings.redis_url, "buses": "redis"}
    )
    service = Service("file", handlers, of_service)
    await service.start()
    try:
        door = settings.model_copy(update={"files_url": Secret(files_url), "handles_events": True})
        async with served(door) as client:
            yield client
    finally:
        await service.stop()


async def upload(client: AsyncClient, name: str, content: bytes) -> dict[str, Any]:
    answer = await client.post("/v1/files", params={"name": name}, content=content)
    assert answer.status_code == 202
    return answer.json()


async def looked_at(client: AsyncClient, file_id: str) -> dict[str, Any]:
    async def there() -> dict[str, Any] | None:
        file = (await client.get(f"/v1/files/{file_id}")).json()
        return file if file["status"] != "uploaded" else None

    return await until(there, within=60, what=f"file {file_id} processed or rejected")


async def test_uploads_become_profiles_or_reasons_with_progress_on_the_way(system: AsyncClient) -> None:
    files = {name: await upload(system, name, content) for name, content in UPLOADS.items()}

    notes = await progress_of(system, files["orders.csv"]["jobs"][0]["href"])
    seen = {name: await looked_at(system, file["id"]) for name, file in files.items()}

    assert any(f"% of {len(MANY_ROWS) / 1e6:.1f} MB: " in note for note in notes)
    reasons = {name: file["reason"] for name, file in seen.items() if file["status"] == "rejected"}
    assert reasons == {
        "short.csv": "line 17: 2 columns instead of 3",
        "bomb.png": "the image has 100000 x 100000 pixels; 100000000 are allowed",
        "bomb.zip": reasons["bomb.zip"],
        "page.jpg": reasons["page.jpg"],
    }
    assert "archive bomb" in reasons["bomb.zip"]
    assert "image/jpeg" in reasons["page.jpg"]
    assert seen["empty"]["profile"] == {
        "kind": "empty",
        "media_type": "application/x-empty",
        "size_bytes": 0,
    }
    orders = seen["orders.csv"]
    assert (orders["profile"]["rows"], len(orders["profile"]["columns"])) == (200_000, 3)
    hrefs = {artifact["name"]: artifact["href"] for artifact in orders["artifacts"]}
    assert (await system.get(hrefs["profile.json"])).json() == orders["profile"]
    sample = await system.get(hrefs["sample.csv"])
    assert sample.text.splitlines()[:2] == ["id,name,price", "0,name-0,0.5"]


async def test_an_event_about_a_file_that_is_none_is_answered_with_a_rejection(system: AsyncClient) -> None:
    data = {"file_id": "../../etc", "name": "a", "media_type": "a/b", "size_bytes": 1, "sha256": "0" * 64}
    event = {"specversion": "1.0", "id": "1", "source": "/else", "type": "file.uploaded", "data": data}

    answer = await system.post(
        "/v1/events",
        json=event,
        headers={"content-type": "application/cloudevents+json", "prefer": "wait=20"},
    )

    job = (await system.get(answer.json()["jobs"][0]["href"])).json()
    assert job["result"] == {"file_id": "../../etc", "reason": "there is no such file any more"}


async def progress_of(client: AsyncClient, job: str) -> list[str]:
    """The notes that a client sees until the job's end."""
    notes: list[str] = []
    async with client.stream("GET", f"{job}/stream") as stream:
        async for line in stream.aiter_lines():
            if line.startswith("event: end"):
                break
            if line.startswith("data: ") and (progress := json.loads(line[6:]).get("progress")):
                notes.append(progress["note"])
    return notes
