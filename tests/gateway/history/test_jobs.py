"""Where jobs stand: Redis first, then the history, then the ledger; and what is said during an outage."""

import asyncio
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.door.problems import Refused
from gateway.history.jobs import Jobs
from gateway.ledger.recorder import Recorder
from shared.contracts import new_id
from shared.jobs import JobLog, JobReader, Registry
from tests.conftest import Servers
from tests.gateway.history.stand_in import WELCOME, Workers, accept, away, recorded, structured


async def test_an_accepted_event_has_a_job_for_each_handler_of_its_type(
    lookup: Jobs, workers: Workers
) -> None:
    await workers.register(WELCOME)
    await workers.register("report.record_user")
    await workers.register("email.send", "email.requested")
    event_id = new_id()

    links = await lookup.expected("user.registered", event_id)

    assert [link["handler"] for link in links] == [WELCOME, "report.record_user"]
    assert links[0] == {
        "id": f"{WELCOME}:{event_id}",
        "handler": WELCOME,
        "state": "queued",
        "href": f"/v1/jobs/{WELCOME}:{event_id}",
    }


async def test_while_redis_is_away_the_last_known_handlers_are_expected(
    workers: Workers, registry: Registry, reader: JobReader, engine: AsyncEngine, servers: Servers
) -> None:
    await workers.register(WELCOME)
    lookup = Jobs(registry, reader, engine)
    await lookup.expected("user.registered", new_id())

    async with away(servers.redis):
        lookup.handlers._asked_at = 0
        links = await lookup.expected("user.registered", new_id())

    assert [link["handler"] for link in links] == [WELCOME]


async def test_while_redis_was_never_there_no_jobs_are_expected(
    registry: Registry, reader: JobReader, engine: AsyncEngine, servers: Servers
) -> None:
    async with away(servers.redis):
        links = await Jobs(registry, reader, engine).expected("user.registered", new_id())

    assert links == []


async def test_a_job_in_redis_is_shown_as_it_is_there(lookup: Jobs, workers: Workers) -> None:
    event_id = new_id()
    await workers.write(event_id, "running", attempt=2, progress={"done": 1, "total": 4, "note": "x"})

    job = await lookup.get(f"{WELCOME}:{event_id}")

    assert job is not None
    assert (job["state"], job["attempt"], job["progress"]["total"]) == ("running", 2, 4)


@pytest.mark.usefixtures("recorder")
async def test_a_job_looks_the_same_from_redis_and_from_the_history(
    lookup: Jobs, workers: Workers, engine: AsyncEngine, redis: Any
) -> None:
    event_id = new_id()
    job_id = f"{WELCOME}:{event_id}"
    failure = {"type": "RelayBusy", "message": "busy", "stack": "..."}
    await workers.write(
        event_id,
        "dead",
        attempt=2,
        result={"a": [1, 2.5, None]},
        error=failure,
        attempts=b'{"attempt":1,"error":{"type":"RelayBusy"}}\n{"attempt":2,"error":{"type":"RelayBusy"}}\n',
        caused=[{"id": new_id(), "type": "email.bounced"}],
        reason="exhausted",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        finished_at="1764000000123",
    )
    live = await lookup.get(job_id)
    await recorded(engine, job_id, "dead")

    await redis.delete(f"job:{{{WELCOME}}}:{event_id}")

    assert live is not None
    assert await lookup.get(job_id) == live
    assert len(live["attempts"]) == 2
    assert live["trace_id"] == "0af7651916cd43dd8448eb211c80319c"


async def test_a_job_that_no_worker_took_yet_is_queued_since_its_event_was_accepted(
    lookup: Jobs, workers: Workers, engine: AsyncEngine
) -> None:
    await workers.register(WELCOME)
    event_id = new_id()
    await accept(engine, event_id)

    job = await lookup.get(f"{WELCOME}:{event_id}")

    assert job is not None
    assert (job["state"], job["attempt"], job["max_attempts"]) == ("queued", 0, 5)
    assert job["queued_at"] is not None


@pytest.mark.parametrize(
    "job_id",
    [
        f"{WELCOME}:0192f0c1-7a3b-7cde-8f01-23456789ab00",
        f"{WELCOME}:no-uuid",
        "no.handler:0192f0c1-7a3b-7cde-8f01-23456789abcd",
        "email.other_type:0192f0c1-7a3b-7cde-8f01-23456789abcd",
        "without a colon",
        f"{WELCOME}:",
        "a\0b:c",
        "",
    ],
)
async def test_nobody_knows_a_job_of_another_id(
    lookup: Jobs, workers: Workers, engine: AsyncEngine, job_id: str
) -> None:
    await workers.register(WELCOME)
    await workers.register("email.other_type", "email.requested")
    await accept(engine, "0192f0c1-7a3b-7cde-8f01-23456789abcd")

    assert await lookup.get(job_id) is None


async def test_while_redis_is_away_the_history_answers_and_what_it_lacks_is_unavailable(
    *,
    lookup: Jobs,
    workers: Workers,
    engine: AsyncEngine,
    job_log: JobLog,
    reader: JobReader,
    registry: Registry,
    servers: Servers,
) -> None:
    event_id = new_id()
    job_id = f"{WELCOME}:{event_id}"
    async with Recorder(job_log, reader, registry, engine):
        await workers.write(event_id, "succeeded", result="1")
        await recorded(engine, job_id, "succeeded")

    async with away(servers.redis):
        job = await lookup.get(job_id)
        with pytest.raises(Refused) as refused:
            await lookup.get(f"{WELCOME}:{new_id()}")

    assert job is not None
    assert job["result"] == 1
    assert refused.value.status_code == 503


async def test_a_result_that_is_no_json_is_left_out(lookup: Jobs, workers: Workers) -> None:
    event_id = new_id()
    await workers.write(event_id, "succeeded", result=b'{"half": ')

    job = await lookup.get(f"{WELCOME}:{event_id}")

    assert job is not None
    assert (job["state"], job["result"]) == ("succeeded", None)


@pytest.mark.usefixtures("recorder")
async def test_a_hash_that_nobody_can_read_leaves_the_word_to_the_history(
    lookup: Jobs, workers: Workers, engine: AsyncEngine
) -> None:
    event_id = new_id()
    await workers.write(event_id, "dead", attempts=b"{no json")
    await recorded(engine, f"{WELCOME}:{event_id}", "dead")

    job = await lookup.get(f"{WELCOME}:{event_id}")

    assert job is not None
    assert job["state"] == "dead"


async def test_the_jobs_of_an_event_are_those_of_its_handlers_and_those_that_ran(
    lookup: Jobs, workers: Workers, engine: AsyncEngine
) -> None:
    await workers.register(WELCOME)
    await workers.register("report.record_user")
    event_id = new_id()
    await accept(engine, event_id)
    await workers.write(event_id, "running")

    jobs = await lookup.of_event(event_id, "user.registered")

    assert [(job["handler"], job["state"]) for job in jobs] == [
        (WELCOME, "running"),
        ("report.record_user", "queued"),
    ]


async def test_what_an_event_caused_is_told_by_its_jobs(lookup: Jobs, workers: Workers) -> None:
    await workers.register(WELCOME)
    event_id, caused_id = new_id(), new_id()
    caused = [{"id": caused_id, "type": "email.sent"}]

    await workers.write(event_id, "succeeded", caused=caused, event=structured(event_id))

    assert await lookup.caused_by(event_id) == caused


async def test_a_thousand_lookups_ask_the_registry_once(lookup: Jobs, workers: Workers, redis: Any) -> None:
    await workers.register(WELCOME)
    before = (await redis.info("commandstats"))["cmdstat_hgetall"]["calls"] if await _counts(redis) else 0

    await asyncio.gather(*(lookup.expected("user.registered", new_id()) for _ in range(1000)))

    assert (await redis.info("commandstats"))["cmdstat_hgetall"]["calls"] == before + 1


async def _counts(redis: Any) -> bool:
    return "cmdstat_hgetall" in await redis.info("commandstats")
