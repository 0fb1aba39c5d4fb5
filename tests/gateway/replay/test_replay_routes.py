"""POST /v1/dead/replay and what follows: what is matched, what is run again, what is refused."""

from datetime import timedelta
from typing import Any

import pytest
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.clock import rfc3339
from tests.gateway.history.stand_in import WELCOME, Workers, recorded, rows
from tests.gateway.replay.conftest import DEAD_SINCE, Bury, ended, queued
from tests.until import until

RECORD = "report.record_user"


async def replay(client: AsyncClient, filter_: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Ask for a replay, and wait for its end."""
    answer = await client.post("/v1/dead/replay", json={"filter": filter_, "rate": 1000, **more})
    assert answer.status_code == 202, answer.text
    return await ended(client, answer.headers["location"])


async def test_a_dry_run_tells_what_matches_and_changes_nothing(
    client: AsyncClient, bury: Bury, engine: AsyncEngine, redis: Any
) -> None:
    mails = await bury(3)
    records = await bury(2, handler=RECORD, reason="poison", since=DEAD_SINCE + timedelta(hours=1))

    answer = await client.post("/v1/dead/replay", json={"filter": {"all": True}, "dry_run": True})

    assert (answer.status_code, answer.json()) == (
        200,
        {
            "matched": 5,
            "by_handler": {WELCOME: 3, RECORD: 2},
            "by_reason": {"exhausted": 3, "poison": 2},
            "sample": mails + records,
        },
    )
    assert await queued(redis) == await queued(redis, RECORD) == []
    assert await rows(engine, "SELECT 1 FROM gateway.replays") == []


@pytest.mark.parametrize(
    ("filter_", "matching"),
    [
        ({"handler": RECORD}, "records"),
        ({"service": "report"}, "records"),
        ({"reason": "poison"}, "records"),
        ({"error": "KeyError"}, "records"),
        ({"text": "NO SUCH user_1%"}, "records"),
        ({"text": "user"}, "records and mails"),
        ({"since": rfc3339(DEAD_SINCE + timedelta(hours=1))}, "records"),
        ({"until": rfc3339(DEAD_SINCE + timedelta(hours=1))}, "mails"),
        ({"handler": RECORD, "reason": "exhausted"}, ""),
        ({"error": "KeyErro"}, ""),
        ({"all": True}, "records and mails"),
    ],
)
async def test_what_matches_the_filter_is_run_again_and_nothing_else(
    client: AsyncClient, bury: Bury, redis: Any, filter_: dict[str, Any], matching: str
) -> None:
    mails = await bury(2)
    records = await bury(
        2,
        handler=RECORD,
        reason="poison",
        error="KeyError",
        message="no such user_1%",
        since=DEAD_SINCE + timedelta(hours=1),
    )

    preview = (await client.post("/v1/dead/replay", json={"filter": filter_, "dry_run": True})).json()
    done = await replay(client, filter_)

    assert await queued(redis) == (mails if "mails" in matching else [])
    assert await queued(redis, RECORD) == (records if "records" in matching else [])
    assert (done["status"], done["filter"], done["skipped"]) == ("done", filter_, 0)
    assert done["replayed"] == done["matched"] == preview["matched"]


async def test_single_jobs_are_named_by_their_ids(client: AsyncClient, bury: Bury, redis: Any) -> None:
    first, second, _ = await bury(3)

    done = await replay(client, {"ids": [second, f"{WELCOME}:nobody", first]})

    assert await queued(redis) == [first, second]
    assert (done["matched"], done["replayed"]) == (2, 2)


async def test_a_job_that_is_queued_again_shows_its_former_failures_and_no_present_one(
    client: AsyncClient, bury: Bury, engine: AsyncEngine
) -> None:
    [job_id] = await bury(1)

    await replay(client, {"all": True})
    await recorded(engine, job_id, "queued")

    [job] = (await client.get("/v1/jobs?state=queued")).json()["items"]
    assert job == (await client.get(f"/v1/jobs/{job_id}")).json()
    assert (job["attempt"], job["error"], job["reason"], job["finished_at"]) == (0, None, None, None)
    assert [attempt["attempt"] for attempt in job["attempts"]] == [5]
    assert (await client.get("/v1/dead")).json()["items"] == []
    assert (await client.get("/v1/jobs?text=busy")).json()["items"] == []


async def test_a_job_that_redis_forgot_keeps_its_failures_and_its_trace(
    client: AsyncClient, bury: Bury, redis: Any
) -> None:
    [job_id] = await bury(1)
    await redis.delete(f"job:{{{WELCOME}}}:{job_id.rpartition(':')[2]}")

    done = await replay(client, {"all": True})

    job = (await client.get(f"/v1/jobs/{job_id}")).json()
    assert (done["replayed"], await queued(redis)) == (1, [job_id])
    assert (job["state"], [attempt["attempt"] for attempt in job["attempts"]]) == ("queued", [5])


async def test_what_is_not_dead_any_more_is_left_alone_and_counted(
    client: AsyncClient, bury: Bury, redis: Any
) -> None:
    cancelled, fine = await bury(2)
    await redis.hset(f"job:{{{WELCOME}}}:{cancelled.rpartition(':')[2]}", "state", "cancelled")

    done = await replay(client, {"all": True})

    assert await queued(redis) == [fine]
    assert (done["matched"], done["replayed"], done["skipped"]) == (2, 1, 1)
    assert done["skipped_because"] == {"not_dead": 1}


async def test_bytes_that_were_no_event_stay_dead(
    client: AsyncClient, workers: Workers, engine: AsyncEngine, redis: Any
) -> None:
    await workers.write("1764000000123-0", "dead", reason="invalid", raw="bm8gZXZlbnQ=", channel="events:x")
    await recorded(engine, f"{WELCOME}:1764000000123-0", "dead")

    done = await replay(client, {"all": True})

    assert (done["replayed"], done["skipped_because"]) == (0, {"event_gone": 1})
    assert await queued(redis) == []


async def test_replays_are_listed_newest_first_with_who_asked(client: AsyncClient) -> None:
    ids = [(await replay(client, {"handler": name}))["id"] for name in ("a.a", "b.b", "c.c")]

    first = (await client.get("/v1/dead/replays?limit=2")).json()
    second = (await client.get("/v1/dead/replays", params={"limit": 2, "cursor": first["next"]})).json()

    listed = first["items"] + second["items"]
    assert [one["id"] for one in listed] == list(reversed(ids))
    assert second["next"] is None
    assert {one["asked_by"][:7] for one in listed} == {"sha256:"}


async def test_the_same_request_with_a_key_is_one_replay(client: AsyncClient, bury: Bury) -> None:
    await bury(1)
    request = {"filter": {"all": True}}
    headers = {"Idempotency-Key": "again-1"}

    first = await client.post("/v1/dead/replay", json=request, headers=headers)
    second = await client.post("/v1/dead/replay", json=request, headers=headers)

    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json()["id"] == second.json()["id"]
    assert len((await client.get("/v1/dead/replays")).json()["items"]) == 1
    assert (await ended(client, first.headers["location"]))["replayed"] == 1


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "#/filter"),
        ({"filter": {}}, "#/filter"),
        ({"filter": {"handler": None}}, "#/filter"),
        ({"filter": {"all": False}}, "#/filter/all"),
        ({"filter": {"all": True, "handler": WELCOME}}, "#/filter"),
        ({"filter": {"handlers": WELCOME}}, "#/filter/handlers"),
        ({"filter": {"all": True}, "dryrun": True}, "#/dryrun"),
        ({"filter": {"all": True}, "dry_run": "yes"}, "#/dry_run"),
        ({"filter": {"all": True}, "rate": 0}, "#/rate"),
        ({"filter": {"all": True}, "rate": -1}, "#/rate"),
        ({"filter": {"all": True}, "rate": 1001}, "#/rate"),
        ({"filter": {"all": True}, "rate": "50"}, "#/rate"),
        ({"filter": {"reason": "bad luck"}}, "#/filter/reason"),
        ({"filter": {"text": "ab"}}, "#/filter/text"),
        ({"filter": {"text": "a\0b"}}, "#/filter/text"),
        ({"filter": {"handler": "a\0b"}}, "#/filter/handler"),
        ({"filter": {"handler": ""}}, "#/filter/handler"),
        ({"filter": {"ids": []}}, "#/filter/ids"),
        ({"filter": {"ids": ["nonsense"]}}, "#/filter/ids/0"),
        ({"filter": {"ids": ["a:1"] * 1001}}, "#/filter/ids"),
        ({"filter": {"since": "2026-01-01T00:00:00"}}, "#/filter/since"),
        ({"filter": {"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}}, "#/filter"),
        ([], "#"),
    ],
)
async def test_a_wrong_request_is_refused_and_replays_nothing(
    client: AsyncClient, engine: AsyncEngine, body: Any, pointer: str
) -> None:
    answer = await client.post("/v1/dead/replay", json=body)

    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert await rows(engine, "SELECT 1 FROM gateway.replays") == []


async def test_an_unknown_replay_is_a_problem(client: AsyncClient) -> None:
    for id_ in ("nonsense", "0192f0c1-7a3b-7cde-8f01-23456789abcd"):
        shown = await client.get(f"/v1/dead/replays/{id_}")
        cancelled = await client.post(f"/v1/dead/replays/{id_}/cancel")

        assert (shown.status_code, cancelled.status_code) == (404, 404)


async def test_who_may_only_read_replays_nothing(client: AsyncClient) -> None:
    done = await replay(client, {"all": True})
    client.headers["authorization"] = "Bearer reader"

    asked = await client.post("/v1/dead/replay", json={"filter": {"all": True}, "dry_run": True})
    cancelled = await client.post(f"/v1/dead/replays/{done['id']}/cancel")
    shown = await client.get(f"/v1/dead/replays/{done['id']}")

    assert (asked.status_code, cancelled.status_code, shown.status_code) == (403, 403, 200)


async def test_the_event_of_a_job_that_runs_again_is_not_settled_before_it_has_ended(
    client: AsyncClient, bury: Bury, workers: Workers, engine: AsyncEngine
) -> None:
    await workers.register(WELCOME)
    [job_id] = await bury(1)
    event_id = job_id.rpartition(":")[2]
    settled = "SELECT settled_at IS NOT NULL AS is_settled FROM gateway.events WHERE id = :id"

    async def is_settled() -> bool:
        found = await rows(engine, settled, id=event_id)
        return bool(found) and found[0]["is_settled"]

    await until(is_settled)
    await replay(client, {"all": True})
    while_queued = await is_settled()
    await workers.write(event_id, "succeeded")
    await until(is_settled)

    assert while_queued is False
