"""GET /v1/jobs, /v1/dead, /v1/handlers, /v1/workers: what they show, in pages, and what they refuse."""

import asyncio
import base64
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.history.live import LiveJobs
from shared.contracts import new_id
from tests.gateway.history.stand_in import WELCOME, Workers, accept, recorded, rows, structured
from tests.until import until

START = datetime(2026, 3, 1, tzinfo=UTC)
NIL = "00000000-0000-4000-8000-000000000000"


async def fill(
    workers: Workers, engine: AsyncEngine, count: int, *, handler: str = WELCOME, state: str = "succeeded"
) -> list[str]:
    """Jobs queued a second apart, recorded; their ids, newest first."""
    ids = [new_id() for _ in range(count)]
    for n, event_id in enumerate(ids):
        queued_ms = round((START + timedelta(seconds=n)).timestamp() * 1000)
        await workers.write(event_id, state, handler=handler, queued_at=str(queued_ms))
    job_ids = [f"{handler}:{event_id}" for event_id in ids]

    async def all_there() -> bool:
        query = "SELECT 1 FROM gateway.jobs WHERE id = ANY(:ids)"
        return len(await rows(engine, query, ids=job_ids)) == count

    await until(all_there)
    return list(reversed(job_ids))


async def test_a_final_job_is_shown_with_an_etag_and_without_retry_after(
    client: AsyncClient, workers: Workers
) -> None:
    event_id = new_id()
    await workers.write(event_id, "succeeded", result={"ok": True})

    answer = await client.get(f"/v1/jobs/{WELCOME}:{event_id}")
    again = await client.get(
        f"/v1/jobs/{WELCOME}:{event_id}", headers={"If-None-Match": f'"x", W/{answer.headers["etag"]}'}
    )

    assert (answer.status_code, answer.json()["result"]) == (200, {"ok": True})
    assert "retry-after" not in answer.headers
    assert (again.status_code, again.content) == (304, b"")


async def test_the_etag_changes_with_state_attempt_and_progress(
    client: AsyncClient, workers: Workers
) -> None:
    event_id = new_id()
    tags: set[str] = set()

    for state, attempt, done in (("running", 1, 1), ("running", 1, 2), ("running", 2, 2), ("retrying", 2, 2)):
        await workers.write(event_id, state, attempt=attempt, progress={"done": done, "total": 9, "note": ""})
        answer = await client.get(f"/v1/jobs/{WELCOME}:{event_id}")
        assert answer.headers["retry-after"] == "1"
        tags.add(answer.headers["etag"])

    assert len(tags) == 4


@pytest.mark.parametrize(
    ("query", "headers", "applied"),
    [
        ("?wait=10", {}, None),
        ("", {"Prefer": "respond-async, wait=10"}, "wait=10"),
        ("", {"Prefer": "wait=100"}, "wait=30"),
    ],
)
async def test_waiting_ends_as_soon_as_the_job_is_final(
    client: AsyncClient, workers: Workers, query: str, headers: dict[str, str], applied: str | None
) -> None:
    event_id = new_id()
    await workers.write(event_id, "running")

    began = time.monotonic()
    waiting = asyncio.create_task(client.get(f"/v1/jobs/{WELCOME}:{event_id}{query}", headers=headers))
    await workers.write(event_id, "running", progress={"done": 1, "total": 2, "note": ""})
    await workers.write(event_id, "succeeded")
    answer = await waiting

    assert answer.json()["state"] == "succeeded"
    assert time.monotonic() - began < 0.9, "woken by the log, not by the look once a second"
    assert answer.headers.get("preference-applied") == applied
    assert answer.headers["vary"] == "Prefer"


async def test_waiting_ends_with_the_present_state_when_the_time_is_over(
    client: AsyncClient, workers: Workers
) -> None:
    event_id = new_id()
    await workers.write(event_id, "running")

    answer = await client.get(f"/v1/jobs/{WELCOME}:{event_id}?wait=0.2")

    assert (answer.status_code, answer.json()["state"]) == (200, "running")
    assert answer.headers["retry-after"] == "1"


async def test_waiting_is_over_when_the_process_drains(
    client: AsyncClient, workers: Workers, live: LiveJobs
) -> None:
    event_id = new_id()
    await workers.write(event_id, "running")

    waiting = asyncio.create_task(client.get(f"/v1/jobs/{WELCOME}:{event_id}?wait=30"))
    await until(lambda: _is_watched(live))
    live.stop()

    async with asyncio.timeout(2):
        assert (await waiting).json()["state"] == "running"


async def test_a_job_that_waits_for_its_next_attempt_says_when_to_ask_again(
    client: AsyncClient, workers: Workers
) -> None:
    event_id = new_id()
    due_ms = round((datetime.now(UTC) + timedelta(seconds=20)).timestamp() * 1000)
    await workers.write(event_id, "retrying", due_at=str(due_ms))

    answer = await client.get(f"/v1/jobs/{WELCOME}:{event_id}")

    assert 18 <= int(answer.headers["retry-after"]) <= 20


async def test_an_unknown_job_is_a_problem(client: AsyncClient) -> None:
    for path in (
        f"/v1/jobs/{WELCOME}:{NIL}",
        "/v1/jobs/nonsense",
        f"/v1/jobs/{WELCOME}:{NIL}/stream",
        "/v1/dead/x",
    ):
        answer = await client.get(path)

        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.usefixtures("recorder")
async def test_pages_follow_each_other_newest_first_without_gap_or_repeat(
    client: AsyncClient, workers: Workers, engine: AsyncEngine
) -> None:
    expected = await fill(workers, engine, 7)

    seen: list[str] = []
    cursor = ""
    while cursor is not None:
        page = (
            await client.get("/v1/jobs", params={"limit": 3, **({"cursor": cursor} if cursor else {})})
        ).json()
        seen += [job["id"] for job in page["items"]]
        cursor = page["next"]

    assert seen == expected


@pytest.mark.usefixtures("recorder")
async def test_jobs_queued_in_the_same_instant_are_paged_too(
    client: AsyncClient, workers: Workers, engine: AsyncEngine
) -> None:
    at = str(round(START.timestamp() * 1000))
    ids = {f"{WELCOME}:{event_id}" for event_id in (new_id() for _ in range(5))}
    for job_id in ids:
        await workers.write(job_id.rpartition(":")[2], "succeeded", queued_at=at)
    for job_id in ids:
        await recorded(engine, job_id, "succeeded")

    first = (await client.get("/v1/jobs?limit=3")).json()
    second = (await client.get("/v1/jobs", params={"limit": 3, "cursor": first["next"]})).json()

    assert {job["id"] for job in first["items"] + second["items"]} == ids
    assert second["next"] is None


@pytest.mark.usefixtures("recorder")
async def test_a_list_shows_what_its_filter_lets_pass(
    client: AsyncClient, workers: Workers, engine: AsyncEngine
) -> None:
    welcome = await fill(workers, engine, 3)
    report = await fill(workers, engine, 2, handler="report.record_user", state="running")
    newest = report[0].rpartition(":")[2]

    async def shown(**params: str) -> list[str]:
        return [job["id"] for job in (await client.get("/v1/jobs", params=params)).json()["items"]]

    assert await shown(state="running") == report
    assert await shown(handler=WELCOME) == welcome
    assert await shown(service="report") == report
    assert await shown(event_id=newest) == [report[0]]
    assert await shown(handler=WELCOME, state="running") == []
    assert await shown(service="email", since="2026-03-01T01:00:01+01:00", until="2026-03-01T00:00:02Z") == [
        welcome[1]
    ]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("cursor=nonsense", "#/cursor"),
        ("cursor=%00", "#/cursor"),
        ("limit=0", "#/limit"),
        ("limit=201", "#/limit"),
        ("limit=many", "#/limit"),
        ("state=sleeping", "#/state"),
        ("since=yesterday", "#/since"),
        ("until=2026-01-01T00:00:00", "#/until"),
        ("event_id=1", "#/event_id"),
        ("handler=%00", "#/handler"),
    ],
)
async def test_a_wrong_parameter_is_named(client: AsyncClient, query: str, pointer: str) -> None:
    answer = await client.get(f"/v1/jobs?{query}")

    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


@pytest.mark.parametrize("wait", ["-1", "31", "soon", "nan"])
async def test_a_wrong_wait_is_named(client: AsyncClient, wait: str) -> None:
    answer = await client.get(f"/v1/jobs/{WELCOME}:{NIL}?wait={wait}")

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "#/wait")


@pytest.mark.usefixtures("recorder")
async def test_a_dead_letter_holds_the_event_the_reason_and_every_attempt(
    client: AsyncClient, workers: Workers, engine: AsyncEngine
) -> None:
    event_id = new_id()
    job_id = f"{WELCOME}:{event_id}"
    attempts = b'{"attempt":1,"worker":"w1","error":{"type":"E","message":"m","stack":"s"}}\n'
    await workers.write(event_id, "dead", reason="exhausted", attempts=attempts, event=structured(event_id))
    await workers.write(new_id(), "succeeded", event=structured(new_id()))
    await recorded(engine, job_id, "dead")

    listed = (await client.get(f"/v1/dead?handler={WELCOME}&reason=exhausted")).json()
    shown = (await client.get(f"/v1/dead/{job_id}")).json()
    others = (await client.get("/v1/dead?reason=poison")).json()

    assert listed == {"items": [shown], "next": None}
    assert (shown["reason"], shown["attempts"][0]["worker"]) == ("exhausted", "w1")
    assert (shown["event"]["id"], shown["event"]["data"]["name"]) == (event_id, "Ada")
    assert (shown["raw"], shown["channel"]) == (None, None)
    assert others["items"] == []


@pytest.mark.usefixtures("recorder")
async def test_bytes_that_were_no_event_are_a_dead_letter_too(
    client: AsyncClient, workers: Workers, engine: AsyncEngine
) -> None:
    raw = base64.b64encode(b"\x00\xffno event").decode()
    await workers.write(
        "1764000000123-0", "dead", reason="invalid", raw=raw, channel="events:user.registered"
    )
    await recorded(engine, f"{WELCOME}:1764000000123-0", "dead")

    shown = (await client.get(f"/v1/dead/{WELCOME}:1764000000123-0")).json()

    assert (shown["raw"], shown["channel"], shown["event"]) == (raw, "events:user.registered", None)


async def test_handlers_and_workers_are_listed_with_who_is_alive(
    client: AsyncClient, workers: Workers, redis: Any
) -> None:
    await workers.register(WELCOME)
    await workers.register("report.record_user")
    worker = (
        '{"id":"w1","service":"email","version":"1","handlers":["email.send_welcome"],"host":"h","pid":1,'
        '"started_at":"2026-01-01T00:00:00Z"}'
    )
    await redis.set("worker:w1", worker, px=60_000)
    await redis.zadd("workers", {"w1": (time.time() + 60) * 1000, "gone": 1})

    handlers = (await client.get("/v1/handlers")).json()
    alive = (await client.get("/v1/workers")).json()

    assert [(one["name"], one["workers"]) for one in handlers["items"]] == [
        (WELCOME, 1),
        ("report.record_user", 0),
    ]
    assert [one["id"] for one in alive["items"]] == ["w1"]


@pytest.mark.parametrize(
    "path",
    ["/v1/jobs", f"/v1/jobs/{WELCOME}:{NIL}", f"/v1/jobs/{WELCOME}:{NIL}/stream", "/v1/dead", "/v1/handlers"],
)
async def test_looking_back_needs_the_scope_read(client: AsyncClient, path: str) -> None:
    answer = await client.get(path, headers={"Authorization": "Bearer publisher"})

    assert (answer.status_code, answer.json()["scope"]) == (403, "read")


async def test_a_queued_job_can_be_asked_for_before_any_worker_saw_it(
    client: AsyncClient, workers: Workers, engine: AsyncEngine
) -> None:
    await workers.register(WELCOME)
    event_id = new_id()
    await accept(engine, event_id)

    answer = await client.get(f"/v1/jobs/{WELCOME}:{event_id}")

    assert (answer.status_code, answer.json()["state"]) == (200, "queued")


async def _is_watched(live: LiveJobs) -> bool:
    return bool(live._watches)
