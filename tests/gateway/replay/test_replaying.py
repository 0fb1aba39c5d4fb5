"""Replays at work: at their rate, each job once, on from where they stopped whoever dies."""

import asyncio
import os
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from httpx import AsyncClient
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.history.history import History
from gateway.history.job_filter import Filter
from gateway.ledger.ledger import Ledger
from gateway.operations.again import NOT_KEPT, KeptEvent, RunAgain
from gateway.operations.replaying import Replaying
from gateway.operations.replays import Replay, Replays
from gateway.settings import GatewaySettings
from shared.jobs import JobControl
from tests.conftest import Servers
from tests.gateway.door.test_process import running
from tests.gateway.history.stand_in import WELCOME, Workers, away, recorded
from tests.gateway.replay.conftest import DEAD_SINCE, KEYS, Bury, Work, ended, queued, queued_at
from tests.until import until


async def ask(engine: AsyncEngine, replays: Replays, *, rate: float) -> Replay:
    """A replay of all that is dead."""
    async with engine.begin() as connection:
        return await replays.begin(connection, Filter(), rate=rate, asked_by=None)


async def over(replays: Replays, asked: Replay, *, within: float = 30) -> Replay:
    async def look() -> Replay | None:
        found = await replays.find(asked.id)
        return found if found and found.state != "running" else None

    return await until(look, within=within)


async def so_many(redis: Any, count: int) -> None:
    async def there() -> bool:
        return len(await queued(redis)) >= count

    await until(there, within=30, what=f"{count} jobs queued")


class DiesInAPage(RunAgain):
    """Queues `jobs` jobs and then hangs, as a process does that is stopped."""

    def __init__(self, control: JobControl, ledger: Ledger, history: History, *, jobs: int) -> None:
        super().__init__(control, ledger, history)
        self.left = jobs
        self.hangs = asyncio.Event()

    async def queue(self, job: dict[str, Any], *, replay_id: str = "", kept: KeptEvent = NOT_KEPT) -> str:
        state = await super().queue(job, replay_id=replay_id, kept=kept)
        self.left -= 1
        if self.left <= 0:
            self.hangs.set()
            await asyncio.Event().wait()
        return state


async def dies_after(jobs: int, engine: AsyncEngine, redis: Any) -> None:
    """A gateway begins a page, and is gone in the middle of it, with no word to anybody."""
    control = JobControl(redis, keep=timedelta(hours=1))
    again = DiesInAPage(control, Ledger(engine, hand_over=lambda _: None), History(engine), jobs=jobs)
    async with Replaying(Replays(engine), again, History(engine), engine):
        await asyncio.wait_for(again.hangs.wait(), timeout=30)


async def end_leases(engine: AsyncEngine) -> None:
    """What else comes with time: whoever held a page has been silent for too long."""
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE gateway.replays SET next_at = now()"))


@pytest.mark.usefixtures("recorder")
async def test_the_rate_is_kept(
    bury: Bury, engine: AsyncEngine, redis: Any, replays: Replays, work: Work
) -> None:
    jobs = await bury(30)
    asked = await ask(engine, replays, rate=20)

    async with work(), work():
        await over(replays, asked)

    instants = await queued_at(redis)
    assert await queued(redis) == jobs
    page = 5
    for n, instant in enumerate(instants):
        in_a_second = [one for one in instants[n:] if one - instant < 1]
        assert len(in_a_second) <= 20 + page
    assert instants[-1] - instants[0] > 1


@pytest.mark.usefixtures("recorder")
async def test_another_gateway_goes_on_where_one_was_stopped_at_the_same_rate(
    bury: Bury, engine: AsyncEngine, redis: Any, replays: Replays, work: Work
) -> None:
    jobs = await bury(24)
    asked = await ask(engine, replays, rate=8)

    for count in (4, 10, 16):
        async with work():
            await so_many(redis, count)
        stopped = await replays.find(asked.id)
        assert stopped is not None
        assert (stopped.state, stopped.replayed) == ("running", len(await queued(redis)))
    async with work():
        done = await over(replays, asked)

    instants = await queued_at(redis)
    assert await queued(redis) == jobs
    assert (done.replayed, done.skipped) == (24, {})
    assert all(later - earlier > 0.1 for earlier, later in zip(instants, instants[2:], strict=False))


@pytest.mark.usefixtures("recorder")
async def test_a_page_whose_gateway_died_is_done_again_and_no_job_twice(
    bury: Bury, engine: AsyncEngine, redis: Any, replays: Replays, work: Work
) -> None:
    jobs = await bury(20)
    asked = await ask(engine, replays, rate=40)

    await dies_after(13, engine, redis)
    died = await replays.find(asked.id)
    await end_leases(engine)
    async with work():
        done = await over(replays, asked)

    assert died is not None
    assert (died.state, died.replayed, died.page) == ("running", 10, jobs[10:])
    assert await queued(redis) == jobs
    assert (done.replayed, done.skipped) == (20, {})


@pytest.mark.usefixtures("recorder")
async def test_a_page_is_not_done_by_another_while_its_gateway_may_live(
    bury: Bury, engine: AsyncEngine, replays: Replays
) -> None:
    await bury(4)
    await ask(engine, replays, rate=8)

    first = await replays.take()

    assert first is not None
    assert first.replay.next_at - first.at == timedelta(seconds=30)
    assert await replays.take() is None


@pytest.mark.usefixtures("recorder")
async def test_who_was_silent_for_too_long_does_not_undo_what_another_did(
    bury: Bury, engine: AsyncEngine, replays: Replays, work: Work
) -> None:
    await bury(6)
    asked = await ask(engine, replays, rate=1000)
    slow = await replays.take()
    assert slow is not None
    await end_leases(engine)
    async with work():
        done = await over(replays, asked)

    begun = await replays.begin_page(slow.replay, ["a:1"], None)
    ended_ = await replays.end_page(slow.replay, replayed=6, skipped={}, next_at=slow.at, is_over=False)

    assert (begun, ended_) == (False, False)
    assert await replays.find(asked.id) == done


@pytest.mark.usefixtures("recorder")
async def test_a_job_that_dies_again_is_not_replayed_again(
    bury: Bury, engine: AsyncEngine, replays: Replays, work: Work, workers: Workers
) -> None:
    jobs = await bury(4)
    asked = await ask(engine, replays, rate=2)

    async with work():
        await so_many(workers.redis, 1)
        now_ms = str(round(datetime.now(UTC).timestamp() * 1000))
        await workers.write(jobs[0].rpartition(":")[2], "dead", reason="exhausted", finished_at=now_ms)
        await recorded(engine, jobs[0], "dead")
        done = await over(replays, asked)

    assert await queued(workers.redis) == jobs
    assert (done.replayed, done.skipped) == (4, {})


@pytest.mark.usefixtures("recorder")
async def test_a_job_that_died_again_before_its_page_was_kept_is_not_replayed_again(
    bury: Bury, engine: AsyncEngine, replays: Replays, work: Work, workers: Workers
) -> None:
    jobs = await bury(4)
    asked = await ask(engine, replays, rate=16)

    await dies_after(1, engine, workers.redis)
    # The history has not heard of it yet.
    await workers.write_hash(jobs[0].rpartition(":")[2], "dead", reason="exhausted")
    await end_leases(engine)
    async with work():
        done = await over(replays, asked)

    assert await queued(workers.redis) == jobs
    assert done.replayed == 4


@pytest.mark.usefixtures("recorder")
async def test_what_cannot_run_again_is_passed_by_once(
    bury: Bury, engine: AsyncEngine, redis: Any, replays: Replays, work: Work
) -> None:
    gone = await bury(4)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE gateway.jobs SET event = NULL"))
        await connection.execute(text("DELETE FROM gateway.events"))
    for job_id in gone:
        await redis.hdel(f"job:{{{WELCOME}}}:{job_id.rpartition(':')[2]}", "event")
    [fine] = await bury(1, since=DEAD_SINCE + timedelta(hours=1))
    asked = await ask(engine, replays, rate=8)

    async with work():
        done = await over(replays, asked)

    assert await queued(redis) == [fine]
    assert (done.replayed, done.skipped) == (1, {"event_gone": 4})


@pytest.mark.usefixtures("recorder")
async def test_what_dies_after_a_replay_was_asked_for_is_not_part_of_it(
    bury: Bury, engine: AsyncEngine, redis: Any, replays: Replays, work: Work
) -> None:
    before = await bury(2)
    asked = await ask(engine, replays, rate=1000)
    await bury(2, since=datetime.now(UTC) + timedelta(seconds=1))

    async with work():
        done = await over(replays, asked)

    assert await queued(redis) == before
    assert (done.matched, done.replayed) == (2, 2)


@pytest.mark.usefixtures("recorder")
async def test_a_replay_goes_on_when_redis_is_back(
    *, bury: Bury, engine: AsyncEngine, redis: Any, replays: Replays, work: Work, servers: Servers
) -> None:
    await bury(12)
    asked = await ask(engine, replays, rate=8)

    async with work():
        await so_many(redis, 4)
        async with away(servers.redis):
            pass
        done = await over(replays, asked, within=60)

    assert done.state == "done"
    assert (done.replayed + sum(done.skipped.values()), done.skipped.get("failed")) == (12, None)


@pytest.mark.usefixtures("recorder")
async def test_a_replay_survives_the_kill_of_its_gateway(
    *, bury: Bury, engine: AsyncEngine, redis: Any, replays: Replays, work: Work, settings: GatewaySettings
) -> None:
    jobs = await bury(40)
    environment = {
        "PATH": os.environ["PATH"],
        "REDIS_URL": settings.redis_url.get_secret_value(),
        "NATS_URL": settings.nats_url.get_secret_value(),
        "DATABASE_URL": settings.database_url.get_secret_value(),
        "API_KEYS": KEYS,
        "BUSES": "redis",
    }

    async with running(environment) as gateway:
        asked = await gateway.client.post(
            "/v1/dead/replay",
            json={"filter": {"all": True}, "rate": 40},
            headers={"authorization": "Bearer operator"},
        )
        await so_many(redis, 7)
        gateway.process.kill()
        await gateway.process.wait()
    found = await replays.find(asked.json()["id"])
    await end_leases(engine)
    async with work():
        assert found is not None
        done = await over(replays, found)

    assert found.state == "running"
    assert await queued(redis) == jobs
    assert (done.replayed, done.skipped) == (40, {})


async def test_a_cancelled_replay_stops_and_its_jobs_stay_dead(
    client: AsyncClient, bury: Bury, engine: AsyncEngine, redis: Any
) -> None:
    jobs = await bury(5)
    asked = await client.post("/v1/dead/replay", json={"filter": {"all": True}, "rate": 0.1})
    await so_many(redis, 1)

    cancelled = await client.post(f"{asked.headers['location']}/cancel")
    again = await client.post(f"{asked.headers['location']}/cancel")
    await end_leases(engine)
    other = await client.post("/v1/dead/replay", json={"filter": {"ids": jobs[4:]}})
    done = await ended(client, other.headers["location"])
    refused = await client.post(f"{other.headers['location']}/cancel")

    assert (cancelled.status_code, cancelled.json()["status"], again.status_code) == (202, "cancelled", 202)
    assert (done["replayed"], await queued(redis)) == (1, [jobs[0], jobs[4]])
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/conflict")
    assert jobs[0].startswith(WELCOME)
