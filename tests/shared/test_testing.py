"""The kit for the tests of handlers: it tells what the real thing would do, without a server."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import pytest
from redis.asyncio import Redis

from shared.contracts import Envelope, Event, wrap
from shared.jobs import Death, Handlers, Job, Reject, Retry, RetryAfter, Snooze, State
from shared.settings import Secret, Settings
from shared.testing import NotSettled, Progress, Run, StillClock, settle


class CakeOrdered(Event):
    type: ClassVar[str] = "cake.ordered"

    cake: str


class CakeBaked(Event):
    type: ClassVar[str] = "cake.baked"

    cake: str


@dataclass
class Oven:
    """What a handler needs from outside, and what a test puts in its place."""

    failure: Exception | None = None
    baked: list[str] = field(default_factory=list[str])

    async def bake(self, cake: str) -> None:
        if self.failure is not None:
            raise self.failure
        self.baked.append(cake)


class OvenBusy(Exception):
    def __init__(self, free_in: timedelta) -> None:
        super().__init__(f"busy for {free_in}")
        self.free_in = free_in


handlers = Handlers("bakery")
PATIENT = Retry(attempts=3, base=timedelta(seconds=8), jitter=False, never=(ValueError,))


@handlers.on(CakeOrdered, retry=PATIENT, time_limit=timedelta(milliseconds=100))
async def bake(order: CakeOrdered, job: Job, oven: Oven) -> CakeBaked | Snooze | Reject:
    if order.cake == "mud pie":
        return Reject("we bake no mud pie")
    if order.cake == "wedding cake":
        await asyncio.sleep(60)
    await job.progress(0, 1, "mixed")
    try:
        await oven.bake(order.cake)
    except OvenBusy as busy:
        return Snooze(busy.free_in)
    await job.progress(1, 1, "baked")
    return CakeBaked(cake=order.cake)


@handlers.on(CakeBaked)
async def count(baked: CakeBaked) -> dict[str, str]:
    return {"counted": baked.cake}


@handlers.on(CakeBaked)
async def deliver(_baked: CakeBaked, job: Job) -> str:
    return f"by {job.deadline:%H:%M}"


@pytest.fixture
def run() -> Run:
    return Run(handlers)


SACHER = CakeOrdered(cake="sacher")


async def test_a_handler_that_returns_succeeds_and_shows_what_it_caused_and_told(run: Run) -> None:
    oven = Oven()

    job = await run(SACHER, oven=oven)

    assert (job.state, job.attempt, job.error) == (State.SUCCEEDED, 1, None)
    assert job.caused == (CakeBaked(cake="sacher"),)
    assert job.result == {"cake": "sacher"}
    assert job.progress == (Progress(0, 1, "mixed"), Progress(1, 1, "baked"))
    assert oven.baked == ["sacher"]


async def test_what_is_caused_has_the_same_id_in_each_run_and_names_its_cause(run: Run) -> None:
    ordered = wrap(SACHER, source="/shop")

    first, second = await run(ordered, oven=Oven()), await run(ordered, oven=Oven(), attempt=2)

    (one,), (other,) = first.envelopes, second.envelopes
    assert one.id == other.id
    assert one.attributes["causationid"] == ordered.id
    assert first.id == f"bakery.bake:{ordered.id}"


async def test_a_snooze_costs_no_attempt_and_is_due_by_the_still_clock(run: Run) -> None:
    job = await run(SACHER, oven=Oven(OvenBusy(timedelta(seconds=5))))

    assert (job.state, job.attempt) == (State.RETRYING, 0)
    assert job.due_at == run.now + timedelta(seconds=5)


@pytest.mark.parametrize(("attempt", "wait_s"), [(1, 8), (2, 16)])
async def test_an_error_waits_as_its_policy_says(run: Run, attempt: int, wait_s: int) -> None:
    job = await run(SACHER, oven=Oven(RuntimeError("cold")), attempt=attempt)

    assert (job.state, job.attempt) == (State.RETRYING, attempt)
    assert job.due_at == run.now + timedelta(seconds=wait_s)
    assert job.error is not None
    assert (job.error["type"], job.error["message"]) == ("RuntimeError", "cold")


async def test_an_error_may_say_itself_when_to_come_again(run: Run) -> None:
    job = await run(SACHER, oven=Oven(RetryAfter("cooling", timedelta(seconds=90))))

    assert job.due_at == run.now + timedelta(seconds=90)


@pytest.mark.parametrize(
    ("failure", "attempt", "reason"),
    [(RuntimeError("cold"), 3, Death.EXHAUSTED), (ValueError("no oven"), 1, Death.NON_RETRYABLE)],
)
async def test_the_last_error_and_one_that_no_retry_cures_are_the_end(
    run: Run, failure: Exception, attempt: int, reason: Death
) -> None:
    job = await run(SACHER, oven=Oven(failure), attempt=attempt)

    assert (job.state, job.reason, job.due_at) == (State.DEAD, reason, None)


async def test_a_rejected_job_is_dead(run: Run) -> None:
    job = await run(CakeOrdered(cake="mud pie"), oven=Oven())

    assert (job.state, job.reason) == (State.DEAD, Death.NON_RETRYABLE)


async def test_the_time_limit_is_real(run: Run) -> None:
    job = await run(CakeOrdered(cake="wedding cake"), oven=Oven())

    assert job.error is not None
    assert (job.state, job.error["type"]) == (State.RETRYING, "TimeLimitExceeded")


async def test_data_that_break_the_contract_do_not_reach_the_handler(run: Run) -> None:
    broken = Envelope(id="1", source="/shop", type="cake.ordered", attributes={}, data=b'{"cake": 7}')

    job = await run(broken, oven=Oven())

    assert (job.state, job.reason, job.progress) == (State.DEAD, Death.INVALID, ())


async def test_the_clock_can_be_set_and_moved() -> None:
    clock = StillClock(datetime(2026, 3, 29, 1, 0, tzinfo=UTC))
    run = Run(handlers, clock=clock)

    clock.move(timedelta(minutes=25))
    job = await run(CakeBaked(cake="sacher"), handler="deliver")

    assert job.result == "by 01:30"


async def test_one_of_several_handlers_is_named(run: Run) -> None:
    by_function = await run(CakeBaked(cake="sacher"), handler="count")
    by_name = await run(CakeBaked(cake="sacher"), handler="bakery.count")

    assert by_function.result == by_name.result == {"counted": "sacher"}


async def test_a_wrong_call_says_what_to_give(run: Run) -> None:
    with pytest.raises(TypeError, match=r"2 handlers fit cake.baked, it must be one; there are: bakery.bake"):
        await run(CakeBaked(cake="sacher"))
    with pytest.raises(TypeError, match=r"bakery.bake asks for oven: Oven; give a fake of this name"):
        await run(SACHER)
    with pytest.raises(TypeError, match=r"bakery.count does not ask for oven"):
        await run(CakeBaked(cake="sacher"), handler="count", oven=Oven())


async def test_an_empty_system_is_settled(redis_url: str, nats_url: str) -> None:
    await settle(Settings(redis_url=Secret(redis_url), nats_url=Secret(nats_url)))


async def test_a_system_that_does_not_settle_says_what_is_left(redis_url: str) -> None:
    settings = Settings(redis_url=Secret(redis_url), buses="redis")
    async with Redis.from_url(redis_url, protocol=2) as redis:
        record = '{"name":"bakery.bake","service":"bakery","event_type":"cake.ordered","max_attempts":1'
        record += ',"concurrency":1,"time_limit_s":1,"version":"0","description":"","registered_at":""}'
        await redis.hset("handlers", "bakery.bake", record)
        await redis.xgroup_create("events:cake.ordered", "bakery.bake", id="0", mkstream=True)
        await redis.xadd("events:cake.ordered", {"data": "{}"})
        await redis.zadd("waiting:{bakery.bake}", {"due": 1, "much later": 9e15})

        with pytest.raises(NotSettled, match=r"within 1 s: bakery.bake: 1 due, 1 waiting, 1 on redis"):
            await settle(settings, within=timedelta(seconds=1))
        await redis.xreadgroup("bakery.bake", "me", {"events:cake.ordered": ">"})
        with pytest.raises(NotSettled, match=r"1 on redis"):
            await settle(settings, within=timedelta(seconds=1))
