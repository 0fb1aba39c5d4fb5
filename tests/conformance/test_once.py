"""An effect in Postgres happens once, whoever runs the job how often, on both buses."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.contracts import Envelope, wrap
from shared.db import DatabaseUrl, connect, migrate, prune_inbox
from shared.jobs import Group, Handlers, Job, JobRecord, Reject, Retry, decode_group
from shared.service import Service
from shared.telemetry import Tracing
from tests.conformance.conftest import Answered, Asked, Lab, MakeLab

EFFECT = text("INSERT INTO effects (job_id, attempt) VALUES (:job_id, :attempt)")
QUICK = Retry(attempts=5, base=timedelta(milliseconds=10))


@pytest.fixture
async def engine(database_url: str) -> AsyncGenerator[AsyncEngine]:
    """The database of the lab's service, which has the table `effects` without any constraint."""
    await migrate(DatabaseUrl(database_url), {"lab": Path("tests/conformance/migrations")})
    engine = connect(DatabaseUrl(database_url), service="lab")
    yield engine
    await engine.dispose()


async def effects(engine: AsyncEngine) -> list[int]:
    """The attempts that had an effect."""
    async with engine.connect() as connection:
        return list((await connection.execute(text("SELECT attempt FROM effects"))).scalars())


async def note(tx: Any, job: Job) -> None:
    await tx.execute(EFFECT, {"job_id": job.id, "attempt": job.attempt})


@asynccontextmanager
async def running(lab: Lab, handlers: Handlers, engine: AsyncEngine) -> AsyncGenerator[None]:
    @asynccontextmanager
    async def resources(_: Tracing) -> AsyncGenerator[tuple[object, ...]]:
        yield (engine,)

    service = Service("lab", handlers, lab.settings, resources=resources)
    await service.start()
    try:
        yield
    finally:
        await service.stop()


async def publish_once_more(lab: Lab, asked: Envelope) -> None:
    """The same event, after Redis and both buses forgot everything."""
    await lab.redis.flushall()
    await lab.jetstream.purge_stream("EVENTS")
    if lab.bus_name == "nats":
        # Its window of duplicates is kept by the stream: a copy under another message id is the same event.
        await lab.publish_raw(asked.data, {"ce-id": asked.id, "ce-source": "/lab", "ce-type": asked.type})
    else:
        await lab.bus.publish([asked])


async def test_an_event_that_comes_again_after_redis_lost_all_returns_the_recorded_outcome(
    lab: Lab, engine: AsyncEngine
) -> None:
    handlers, heard = Handlers("lab"), list[str]()

    @handlers.on(Asked)
    async def answer(event: Asked, job: Job, engine: AsyncEngine) -> Answered:
        async with job.once(engine) as tx:
            await note(tx, job)
            return tx.outcome(Answered(n=event.n))

    @handlers.on(Answered)
    async def hear(event: Answered, job: Job) -> int:
        heard.append(job.event_id)
        return event.n

    async with running(lab, handlers, engine):
        (asked,) = await lab.publish(Asked(n=7))
        first = await lab.reaches("succeeded", "lab.answer", asked)
        await lab.settles("lab.answer")
        await publish_once_more(lab, asked)
        second = await lab.reaches("succeeded", "lab.answer", asked, within=30)

    assert await effects(engine) == [1]
    assert first.to_api()["result"] == second.to_api()["result"] == {"n": 7}
    assert first.caused == second.caused
    assert set(heard) == {first.caused[0]["id"]}


async def test_an_attempt_that_dies_after_its_commit_has_its_effect_once(
    lab: Lab, engine: AsyncEngine
) -> None:
    handlers = Handlers("lab")

    @handlers.on(Asked, retry=QUICK)
    async def answer(event: Asked, job: Job, engine: AsyncEngine) -> tuple[Answered, Answered]:
        async with job.once(engine) as tx:
            await note(tx, job)
            returned = tx.outcome((Answered(n=event.n), Answered(n=event.n + 1)))
        if job.attempt == 1:
            raise ConnectionError("what a worker's death looks like from outside")
        return returned

    async with running(lab, handlers, engine):
        (asked,) = await lab.publish(Asked(n=1))
        job = await lab.reaches("succeeded", "lab.answer", asked)

    assert await effects(engine) == [1]
    assert job.attempt == 2
    assert job.to_api()["result"] == [{"n": 1}, {"n": 2}]
    assert [caused["type"] for caused in job.caused] == ["lab.answered"] * 2


async def test_a_block_that_raises_leaves_nothing_behind(lab: Lab, engine: AsyncEngine) -> None:
    handlers = Handlers("lab")

    @handlers.on(Asked, retry=QUICK)
    async def answer(event: Asked, job: Job, engine: AsyncEngine) -> int:
        async with job.once(engine) as tx:
            await note(tx, job)
            if job.attempt < 3:
                raise RuntimeError("after the effect")
            return tx.outcome(event.n)

    async with running(lab, handlers, engine):
        (asked,) = await lab.publish(Asked(n=5))
        job = await lab.reaches("succeeded", "lab.answer", asked)

    assert await effects(engine) == [3]
    assert job.to_api()["result"] == 5


async def test_a_rejection_out_of_the_block_rolls_the_effect_back(lab: Lab, engine: AsyncEngine) -> None:
    handlers = Handlers("lab")

    @handlers.on(Asked)
    async def answer(_event: Asked, job: Job, engine: AsyncEngine) -> Reject:
        async with job.once(engine) as tx:
            await note(tx, job)
            return tx.outcome(Reject("out of stock"))

    async with running(lab, handlers, engine):
        (asked,) = await lab.publish(Asked(n=5))
        job = await lab.reaches("dead", "lab.answer", asked)

    assert await effects(engine) == []
    assert job.error is not None
    assert job.error["message"] == "out of stock"


async def test_a_handler_that_records_nothing_has_no_result_in_a_second_run(
    lab: Lab, engine: AsyncEngine
) -> None:
    handlers = Handlers("lab")

    @handlers.on(Asked, retry=QUICK)
    async def answer(_event: Asked, job: Job, engine: AsyncEngine) -> None:
        # Whatever swallows errors does not swallow that the effect was there before.
        async with asyncio.TaskGroup():
            try:
                async with job.once(engine) as tx:
                    await note(tx, job)
            except Exception:  # noqa: BLE001 - the handler of somebody who fears everything
                raise AssertionError("it is no error") from None
        if job.attempt == 1:
            raise ConnectionError("died")
        raise AssertionError("the block did not run and the handler went on")

    async with running(lab, handlers, engine):
        (asked,) = await lab.publish(Asked(n=5))
        job = await lab.reaches("succeeded", "lab.answer", asked)

    assert await effects(engine) == [1]
    assert (job.attempt, job.to_api()["result"]) == (2, None)


class Race:
    """A zombie, which sleeps through its lease before its effect, and the next owner of its job."""

    def __init__(self, lab: Lab, engine: AsyncEngine, *, fenced: bool) -> None:
        self.lab = lab
        self.engine = engine
        self.fenced = fenced
        self.zombie_has_it, self.zombie_wakes, self.both_done = (asyncio.Event() for _ in range(3))
        self.done = 0

    def handlers(self) -> Handlers:
        handlers = Handlers("lab")

        @handlers.on(Asked, retry=QUICK)
        async def answer(event: Asked, job: Job, engine: AsyncEngine) -> Answered:
            del engine
            try:
                if job.attempt == 1:
                    self.zombie_has_it.set()
                    await self.zombie_wakes.wait()
                async with self.effect(job) as tx:
                    await note(tx, job)
                    if isinstance(tx, AsyncConnection):
                        return Answered(n=event.n)
                    return tx.outcome(Answered(n=event.n))
            finally:
                self.done += 1
                if self.done == 2:
                    self.both_done.set()

        return handlers

    def effect(self, job: Job) -> AbstractAsyncContextManager[Any]:
        return job.once(self.engine) if self.fenced else self.engine.begin()

    async def run(self) -> JobRecord:
        """The job's end, when the zombie woke up after the next owner had begun."""
        async with running(self.lab, self.handlers(), self.engine):
            (asked,) = await self.lab.publish(Asked(n=3))
            await asyncio.wait_for(self.zombie_has_it.wait(), timeout=10)
            # As after a pause: the job is given to the next, and the zombie does not know.
            await self.lab.redis.hset(f"job:{{lab.answer}}:{asked.id}", mapping={"state": "queued"})
            await self.lab.redis.zrem("running:{lab.answer}", asked.id)
            await self.lab.redis.xadd("queue:{lab.answer}", {"job": asked.id})
            self.zombie_wakes.set()
            await asyncio.wait_for(self.both_done.wait(), timeout=20)
            return await self.lab.reaches("succeeded", "lab.answer", asked)


async def test_a_zombie_and_the_next_owner_have_one_effect_and_one_outcome(
    make_lab: MakeLab, engine: AsyncEngine
) -> None:
    lab = await make_lab(lease=timedelta(minutes=1))

    job = await Race(lab, engine, fenced=True).run()

    assert len(await effects(engine)) == 1
    assert job.to_api()["result"] == {"n": 3}
    assert len(job.caused) == 1


async def test_without_the_inbox_the_same_race_has_two_effects(
    make_lab: MakeLab, engine: AsyncEngine
) -> None:
    """The control: the race above is one."""
    lab = await make_lab(lease=timedelta(minutes=1))

    await Race(lab, engine, fenced=False).run()

    assert sorted(await effects(engine)) == [1, 2]


async def test_who_finds_the_effect_in_other_hands_waits_and_costs_no_attempt(
    lab: Lab, engine: AsyncEngine
) -> None:
    handlers = Handlers("lab")

    @handlers.on(Asked, retry=Retry(attempts=1))
    async def answer(event: Asked, job: Job, engine: AsyncEngine) -> int:
        async with job.once(engine) as tx:
            await note(tx, job)
            return tx.outcome(event.n)

    asked = wrap(Asked(n=4), source="/lab")
    async with running(lab, handlers, engine), engine.connect() as paused:
        # A zombie that was paused inside its transaction.
        values = {"job_id": f"lab.answer:{asked.id}"}
        await paused.execute(text("INSERT INTO inbox (job_id, attempt) VALUES (:job_id, 1)"), values)
        await lab.bus.publish([asked])
        waiting = await lab.reaches("retrying", "lab.answer", asked)
        await paused.rollback()
        job = await lab.reaches("succeeded", "lab.answer", asked)

    assert waiting.attempt == 0
    assert (job.attempt, job.attempts, await effects(engine)) == (1, [], [1])


async def test_a_group_is_part_of_the_recorded_outcome(lab: Lab, engine: AsyncEngine) -> None:
    handlers = Handlers("lab")

    @handlers.on(Asked)
    async def answer(event: Asked, job: Job, engine: AsyncEngine) -> Group:
        async with job.once(engine) as tx:
            await note(tx, job)
            return tx.outcome(Group(events=[Answered(n=event.n)], then=Answered(n=-1)))

    async with running(lab, handlers, engine):
        (asked,) = await lab.publish(Asked(n=5))
        first = await lab.reaches("succeeded", "lab.answer", asked)
        await lab.settles("lab.answer")
        await publish_once_more(lab, asked)
        again = await lab.reaches("succeeded", "lab.answer", asked, within=30)

    assert await effects(engine) == [1]
    assert first.group is not None
    assert (again.caused, again.result) == (first.caused, first.result)
    assert decode_group(again.group or b"").then.id == decode_group(first.group).then.id


async def test_rows_are_pruned_by_their_age(lab: Lab, engine: AsyncEngine) -> None:
    handlers = Handlers("lab")

    @handlers.on(Asked)
    async def answer(event: Asked, job: Job, engine: AsyncEngine) -> int:
        async with job.once(engine) as tx:
            return tx.outcome(event.n)

    async with running(lab, handlers, engine):
        for envelope in await lab.publish(Asked(n=1), Asked(n=2)):
            await lab.reaches("succeeded", "lab.answer", envelope)
    async with engine.begin() as connection:
        await connection.execute(
            text("UPDATE inbox SET done_at = now() - interval '61 days' WHERE outcome ->> 'result' = '1'")
        )

    assert await prune_inbox(engine, older_than=timedelta(days=60)) == 1
    assert await prune_inbox(engine, older_than=timedelta(days=60)) == 0
