"""Handlers in the event loop that do not hear their time limit, the same on both buses."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from shared.jobs import HandlerRecord, Handlers, Job, Registry, Retry
from tests.conformance.conftest import Answered, Asked, Lab, MakeLab, all_of
from tests.until import until

SOFT, HARD = timedelta(milliseconds=200), timedelta(seconds=1)


class Deaf:
    """Swallows each cancellation and goes on, until it is let go."""

    def __init__(self) -> None:
        self.may_end = asyncio.Event()
        self.has_ended = asyncio.Event()
        self.told = 0

    async def goes_on(self) -> None:
        while not self.may_end.is_set():
            try:
                await self.may_end.wait()
            except asyncio.CancelledError:
                self.told += 1
        self.has_ended.set()


@pytest.fixture
async def deaf() -> AsyncGenerator[Deaf]:
    deaf = Deaf()
    yield deaf
    deaf.may_end.set()


async def test_what_does_not_hear_its_time_limit_is_over_at_the_hard_one_and_its_slot_free(
    make_lab: MakeLab, deaf: Deaf
) -> None:
    lab = await make_lab(log_level="warning")
    handlers, caused = Handlers("lab"), list[int]()

    @handlers.on(Asked, retry=Retry(attempts=1), time_limit=SOFT, hard_limit=HARD, concurrency=1)
    async def answer(event: Asked) -> Answered | None:
        if event.what == "deaf":
            await deaf.goes_on()
            return Answered(n=event.n)
        return None

    @handlers.on(Answered)
    async def collect(event: Answered) -> None:
        caused.append(event.n)

    async with lab.service(handlers):
        (asked,) = await lab.publish(Asked(n=1, what="deaf"))
        over = await lab.reaches("dead", "lab.answer", asked)
        others = await lab.publish(*(Asked(n=n) for n in range(5)))
        await all_of(lab, "succeeded", "lab.answer", others)
        ran_on = not deaf.has_ended.is_set()
        with capture_logs() as lines:
            deaf.may_end.set()

            async def is_told() -> bool:
                return any(line["event"] == "job.abandoned_ended" for line in lines)

            await until(is_told)
        await lab.settles("lab.answer")
        later = await lab.job("lab.answer", asked.id)

    assert ran_on
    assert deaf.told == 2, "once at its time limit, once at the hard one"
    assert (over.reason, over.error) == (
        "exhausted",
        {
            "type": "HardTimeLimitExceeded",
            "message": "the handler ran on past its hard time limit of 1 s",
            "stack": "shared.jobs.outcomes.HardTimeLimitExceeded: "
            "the handler ran on past its hard time limit of 1 s\n",
        },
    )
    assert later == over, "what the handler did after its end changed nothing"
    assert caused == []


async def test_the_next_attempt_does_not_wait_for_one_that_was_abandoned(lab: Lab, deaf: Deaf) -> None:
    handlers, runs = Handlers("lab"), list[int]()

    @handlers.on(
        Asked,
        retry=Retry(attempts=2, base=timedelta(milliseconds=20), jitter=False),
        time_limit=SOFT,
        hard_limit=HARD,
        concurrency=1,
    )
    async def answer(event: Asked, job: Job) -> str:
        runs.append(job.attempt)
        if job.attempt == 1:
            await deaf.goes_on()
            return "too late"
        # The first attempt ends while the second runs, and must leave it alone.
        deaf.may_end.set()
        await deaf.has_ended.wait()
        for _ in range(20):
            await asyncio.sleep(0)
        return f"in time {event.n}"

    async with lab.service(handlers):
        (asked,) = await lab.publish(Asked(n=1))
        job = await lab.reaches("succeeded", "lab.answer", asked)
        await lab.settles("lab.answer")

    assert runs == [1, 2]
    assert job.to_api()["result"] == "in time 1"
    assert [attempt["error"]["type"] for attempt in job.attempts] == ["HardTimeLimitExceeded"]


async def test_a_handler_that_ends_between_its_limits_has_its_result_kept(lab: Lab) -> None:
    handlers = Handlers("lab")

    @handlers.on(Asked, time_limit=timedelta(milliseconds=50), hard_limit=timedelta(minutes=1))
    async def answer(event: Asked) -> int:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        return event.n

    async with lab.service(handlers):
        (asked,) = await lab.publish(Asked(n=8))
        job = await lab.reaches("succeeded", "lab.answer", asked)

    assert job.to_api()["result"] == 8


async def test_the_registry_says_where_a_handler_runs(lab: Lab) -> None:
    handlers = Handlers("lab")

    @handlers.on(Asked)
    async def answer(event: Asked) -> int:
        return event.n

    async with lab.service(handlers):

        async def announced() -> HandlerRecord | None:
            return (await Registry(lab.redis).handlers()).get("lab.answer")

        record = await until(announced)

    assert record.isolation == "loop"
