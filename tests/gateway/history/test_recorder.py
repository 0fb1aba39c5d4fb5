"""The recorder: what workers leave in Redis is in Postgres within moments, once, whatever it holds."""

import asyncio
import time
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.history.history_rows import position_of
from gateway.ledger.recorder import GROUP, Recorder
from shared.contracts import new_id
from shared.jobs import Entry, JobLog, JobReader, Registry
from tests.conftest import Servers
from tests.gateway.history.stand_in import WELCOME, Workers, accept, away, recorded, rows, structured
from tests.until import until

_NOT = timedelta(milliseconds=1)


async def is_settled(engine: AsyncEngine, event_id: str) -> bool:
    found = await rows(engine, "SELECT settled_at FROM gateway.events WHERE id = :id", id=event_id)
    return bool(found and found[0]["settled_at"])


@pytest.mark.usefixtures("recorder")
async def test_a_finished_job_is_in_the_history_with_all_it_left(
    workers: Workers, engine: AsyncEngine
) -> None:
    event_id = new_id()
    result = '{"b": 1.50, "a": "\\u0000"}'

    began = time.monotonic()
    await workers.write(
        event_id,
        "succeeded",
        result=result,
        progress={"done": 2, "total": 2, "note": ""},
        finished_at="1764000000123",
    )
    row = await recorded(engine, f"{WELCOME}:{event_id}", "succeeded")

    assert time.monotonic() - began < 1
    assert str(row["event_id"]) == event_id
    assert (row["service"], row["attempt"], row["max_attempts"]) == ("email", 1, 5)
    assert (await rows(engine, "SELECT result::text FROM gateway.jobs"))[0]["result"] == result
    assert row["finished_at"].isoformat() == "2025-11-24T16:00:00.123000+00:00"


@pytest.mark.usefixtures("recorder")
async def test_each_state_replaces_the_one_before(workers: Workers, engine: AsyncEngine) -> None:
    event_id = new_id()

    for state, attempt in (("running", 1), ("retrying", 0), ("running", 1), ("succeeded", 1)):
        await workers.write(event_id, state, attempt=attempt)
        row = await recorded(engine, f"{WELCOME}:{event_id}", state)
        assert row["attempt"] == attempt


async def test_an_older_view_never_replaces_a_newer_one(
    workers: Workers, engine: AsyncEngine, job_log: JobLog, reader: JobReader, registry: Registry
) -> None:
    event_id = new_id()
    older = await workers.write(event_id, "running")
    newer = await workers.write(event_id, "succeeded")
    assert position_of(older) < position_of(newer)
    recorder = Recorder(job_log, reader, registry, engine)

    for entry_id in (newer, older):
        if entry_id is older:
            await workers.write_hash(event_id, "running")
        [entry] = [one for one in await job_log.read("0-0", block=_NOT) if one[0] == entry_id]
        await record(recorder, entry)

    row = await recorded(engine, f"{WELCOME}:{event_id}", "succeeded")
    assert row["position"] == position_of(newer)


@pytest.mark.usefixtures("recorder")
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("result", b'{"half": '),
        ("result", b"\xff\xfe"),
        ("result", b"[" * 5000 + b"]" * 5000),
        ("worker", "w\0rker"),
        ("reason", "no\0reason"),
        ("raw", "no base64!"),
    ],
)
async def test_a_field_that_postgres_refuses_is_left_out_and_the_others_are_kept(
    workers: Workers, engine: AsyncEngine, field: str, value: Any
) -> None:
    odd, plain = new_id(), new_id()
    await workers.write_hash(odd, "succeeded", **{field: value})
    await workers.write_hash(plain, "succeeded", result='"fine"')

    await workers.tell([(odd, "succeeded", 1), (plain, "succeeded", 1)])

    assert (await recorded(engine, f"{WELCOME}:{odd}", "succeeded"))[field] is None
    assert (await recorded(engine, f"{WELCOME}:{plain}", "succeeded"))["result"] == "fine"


@pytest.mark.usefixtures("recorder")
async def test_a_row_that_postgres_refuses_whole_does_not_hold_up_the_others(
    workers: Workers, engine: AsyncEngine
) -> None:
    plain = new_id()
    await workers.write_hash("no\0id", "succeeded")
    await workers.write_hash(plain, "succeeded")

    await workers.tell([("no\0id", "succeeded", 1), (plain, "succeeded", 1)])

    await recorded(engine, f"{WELCOME}:{plain}", "succeeded")
    assert len(await rows(engine, "SELECT 1 FROM gateway.jobs")) == 1


@pytest.mark.usefixtures("recorder")
async def test_a_hash_that_nobody_can_read_is_recorded_as_the_log_tells_it(
    workers: Workers, engine: AsyncEngine
) -> None:
    odd, plain = new_id(), new_id()
    await workers.write_hash(odd, "dead", started_at=b"soon")
    await workers.write_hash(plain, "succeeded")

    await workers.tell([(odd, "dead", 3), (plain, "succeeded", 1)])

    assert (await recorded(engine, f"{WELCOME}:{odd}", "dead"))["attempt"] == 3
    await recorded(engine, f"{WELCOME}:{plain}", "succeeded")


@pytest.mark.usefixtures("recorder")
async def test_a_job_that_expired_in_redis_before_it_was_recorded_keeps_its_state(
    workers: Workers, engine: AsyncEngine
) -> None:
    await workers.register(WELCOME)
    event_id = new_id()

    await workers.tell([(event_id, "succeeded", 2)])

    row = await recorded(engine, f"{WELCOME}:{event_id}", "succeeded")
    assert (row["attempt"], row["event_type"], row["service"]) == (2, "user.registered", "email")


@pytest.mark.usefixtures("recorder")
async def test_an_event_is_settled_when_the_jobs_of_all_its_handlers_are_final(
    workers: Workers, engine: AsyncEngine
) -> None:
    await workers.register(WELCOME)
    await workers.register("report.record_user")
    await workers.register("other.handler", "email.sent")
    event_id = new_id()
    await accept(engine, event_id)

    await workers.write(event_id, "dead", reason="exhausted")
    await recorded(engine, f"{WELCOME}:{event_id}", "dead")
    assert not await is_settled(engine, event_id)
    await workers.write(event_id, "succeeded", handler="report.record_user")

    await until(lambda: is_settled(engine, event_id))


@pytest.mark.usefixtures("recorder")
async def test_an_event_stays_open_while_no_handler_of_its_type_is_registered(
    workers: Workers, engine: AsyncEngine
) -> None:
    await workers.register("other.handler", "email.sent")
    first, second = new_id(), new_id()
    await accept(engine, first)

    await workers.write(first, "succeeded")
    await workers.write(second, "succeeded")
    await recorded(engine, f"{WELCOME}:{second}", "succeeded")

    assert not await is_settled(engine, first)


@pytest.mark.usefixtures("recorder")
async def test_an_event_of_another_producer_is_entered_into_the_ledger_as_published_and_settled(
    workers: Workers, engine: AsyncEngine
) -> None:
    await workers.register(WELCOME)
    event_id = new_id()

    await workers.write(event_id, "succeeded", event=structured(event_id))

    await until(lambda: is_settled(engine, event_id))
    [event] = await rows(engine, "SELECT * FROM gateway.events")
    assert (event["type"], event["source"]) == ("user.registered", "/elsewhere")
    assert event["published_at"] == event["accepted_at"]
    assert b"ada@example.com" in event["data"]


@pytest.mark.usefixtures("recorder")
async def test_an_event_that_the_ledger_has_is_not_touched_by_what_a_job_says_of_it(
    workers: Workers, engine: AsyncEngine
) -> None:
    event_id = new_id()
    await accept(engine, event_id)

    await workers.write(event_id, "running", event=structured(event_id))
    await recorded(engine, f"{WELCOME}:{event_id}", "running")

    [event] = await rows(engine, "SELECT * FROM gateway.events")
    assert (event["source"], event["published_at"]) == ("/t", None)


async def test_the_batch_of_a_dead_recorder_is_taken_over(
    *,
    workers: Workers,
    redis: Any,
    job_log: JobLog,
    reader: JobReader,
    registry: Registry,
    engine: AsyncEngine,
) -> None:
    event_id = new_id()
    entry_id = await workers.write(event_id, "succeeded")
    await job_log.join(GROUP)
    await job_log.take(GROUP, "dead", block=_NOT)
    await redis.xclaim("jobs:log", GROUP, "dead", 0, [entry_id], idle=60_000)

    async def is_done() -> bool:
        return (await redis.xpending("jobs:log", GROUP))["pending"] == 0

    async with Recorder(job_log, reader, registry, engine):
        await recorded(engine, f"{WELCOME}:{event_id}", "succeeded")
        await until(is_done)


async def test_two_recorders_share_the_log_and_settle_every_event(
    workers: Workers, engine: AsyncEngine, job_log: JobLog, reader: JobReader, registry: Registry
) -> None:
    await workers.register(WELCOME)
    await workers.register("report.record_user")
    event_ids = [new_id() for _ in range(100)]
    for event_id in event_ids:
        await accept(engine, event_id)

    async with Recorder(job_log, reader, registry, engine), Recorder(job_log, reader, registry, engine):
        for event_id in event_ids:
            await workers.write(event_id, "succeeded")
            await workers.write(event_id, "succeeded", handler="report.record_user")

        async def all_settled() -> bool:
            return not await rows(engine, "SELECT 1 FROM gateway.events WHERE settled_at IS NULL")

        await until(all_settled)

    assert len(await rows(engine, "SELECT 1 FROM gateway.jobs")) == 200


@pytest.mark.usefixtures("recorder")
async def test_the_history_goes_on_after_redis_came_back_empty(
    workers: Workers, engine: AsyncEngine, redis: Any, servers: Servers
) -> None:
    first, second = new_id(), new_id()
    await workers.write(first, "succeeded")
    await recorded(engine, f"{WELCOME}:{first}", "succeeded")

    await redis.flushall()
    async with away(servers.redis):
        pass
    await workers.write(second, "succeeded")

    await recorded(engine, f"{WELCOME}:{second}", "succeeded")


@pytest.mark.usefixtures("recorder")
async def test_nothing_is_acknowledged_while_postgres_is_away_and_nothing_lost(
    workers: Workers, engine: AsyncEngine, redis: Any, servers: Servers
) -> None:
    before, during = new_id(), new_id()
    await workers.write(before, "succeeded")
    await recorded(engine, f"{WELCOME}:{before}", "succeeded")

    async def is_held() -> bool:
        return (await redis.xpending("jobs:log", GROUP))["pending"] == 1

    async with away(servers.postgres):
        await workers.write(during, "succeeded")
        await until(is_held)

    await recorded(engine, f"{WELCOME}:{during}", "succeeded")

    async def is_done() -> bool:
        return not await is_held()

    await until(is_done)


async def record(recorder: Recorder, entry: Entry) -> None:
    """One batch by hand, so that the test decides who is late."""
    recorder._batch = [entry]
    async with asyncio.timeout(5):
        await recorder._record_next()
