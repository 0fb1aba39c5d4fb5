"""The scripts that decide whose a job is: claims, leases, fences, and calls that come twice."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any, ClassVar, cast

import pytest

from shared.bus import Delivery, Intake
from shared.bus.redis_streams import connect
from shared.contracts import Event, wrap
from shared.jobs import Handler, HandlerControl, Handlers, JobReader, JobRecord, Limits, Retry
from shared.jobs.store import NOT_NOW, Ending, JobStore, Terms, Verdict
from shared.settings import Secret

LEASE = timedelta(milliseconds=60)


class Asked(Event):
    type: ClassVar[str] = "lab.asked"

    n: int = 1


handlers = Handlers("lab")


@handlers.on(Asked, retry=Retry(attempts=5))
async def answer(event: Asked) -> None: ...


HANDLER: Handler = next(iter(handlers))
EVENT = wrap(Asked(), source="/lab")
NOWHERE = cast("Intake", None)


def delivery(token: str = "one") -> Delivery:
    return Delivery(NOWHERE, token=token, channel="events:lab.asked", handle=b"1-1", envelope=EVENT)


def ending(attempt: int, state: str = "succeeded", **more: Any) -> Ending:
    return Ending(event_id=EVENT.id, attempt=attempt, state=state, **more)


@pytest.fixture
async def redis(redis_url: str) -> AsyncGenerator[Any]:
    async with connect(Secret(redis_url)) as client:
        yield client


def worker(redis: Any, name: str, *, lease: timedelta = LEASE) -> JobStore:
    terms = Terms(
        worker=name,
        version="1",
        lease=lease,
        result_ttl=timedelta(hours=1),
        dead_ttl=timedelta(hours=2),
    )
    return JobStore(redis, terms)


async def attempt_of(store: JobStore, token: str = "one") -> int:
    (verdict,) = await store.claim(HANDLER, [delivery(token)])
    return verdict.attempt


async def job(redis: Any) -> JobRecord:
    (record,) = await JobReader(redis).get([f"lab.answer:{EVENT.id}"])
    assert record is not None
    return record


async def lease_is_over() -> None:
    await asyncio.sleep(LEASE.total_seconds() * 1.3)


async def test_a_claim_whose_reply_was_lost_gives_the_same_attempt_again(redis: Any) -> None:
    ann = worker(redis, "ann")

    assert [await attempt_of(ann), await attempt_of(ann)] == [1, 1]


async def test_an_ending_whose_reply_was_lost_is_known_as_written(redis: Any) -> None:
    ann = worker(redis, "ann")
    await attempt_of(ann)

    written = [await ann.finish("lab.answer", [ending(1)]) for _ in range(2)]

    assert written == [[True], [True]]
    assert (await job(redis)).state == "succeeded"


async def test_a_finished_job_is_done_with(redis: Any) -> None:
    ann, bob = worker(redis, "ann"), worker(redis, "bob")
    await attempt_of(ann)
    await ann.finish("lab.answer", [ending(1)])

    assert await attempt_of(bob, "again") == 0


async def test_a_live_workers_message_is_left_and_a_copy_of_it_is_done_with(redis: Any) -> None:
    ann, bob = worker(redis, "ann", lease=timedelta(minutes=1)), worker(redis, "bob")
    await attempt_of(ann)

    assert await attempt_of(bob, "one") == -1
    assert await attempt_of(bob, "a copy on the other bus") == 0


async def test_a_silent_worker_loses_its_job_and_its_ending_is_refused(redis: Any) -> None:
    ann, bob = worker(redis, "ann"), worker(redis, "bob")
    await attempt_of(ann)
    await lease_is_over()

    taken_over = await attempt_of(bob)
    zombie = await ann.finish("lab.answer", [ending(1, fields=("result", b'"of a zombie"'))])
    rightful = await bob.finish("lab.answer", [ending(2, fields=("result", b'"right"'))])

    assert (taken_over, zombie, rightful) == (2, [False], [True])
    record = await job(redis)
    assert (record.to_api()["result"], record.worker, record.attempt) == ("right", "bob", 2)
    assert [attempt["error"]["type"] for attempt in record.attempts] == ["WorkerLost"]


async def test_a_renewed_lease_is_not_taken_over(redis: Any) -> None:
    ann, bob = worker(redis, "ann"), worker(redis, "bob")
    await attempt_of(ann)

    for _ in range(4):
        await asyncio.sleep(LEASE.total_seconds() / 2)
        assert await ann.renew("lab.answer", [(EVENT.id, 1)]) == [True]
        assert await attempt_of(bob) == -1


async def test_a_worker_that_lost_its_job_cannot_renew_it(redis: Any) -> None:
    ann, bob = worker(redis, "ann"), worker(redis, "bob", lease=timedelta(minutes=1))
    await attempt_of(ann)
    await lease_is_over()
    await attempt_of(bob)

    assert await ann.renew("lab.answer", [(EVENT.id, 1)]) == [False]


async def test_a_job_that_killed_three_workers_is_poison(redis: Any) -> None:
    attempts: list[int] = []
    for name in ("ann", "bob", "cid", "dan"):
        attempts.append(await attempt_of(worker(redis, name)))
        await lease_is_over()

    assert attempts == [1, 2, 3, 0]
    record = await job(redis)
    assert (record.state, record.reason, len(record.attempts)) == ("dead", "poison", 3)
    assert await redis.zcard("running:{lab.answer}") == 0
    assert await redis.zrange("dead:{lab.answer}", 0, -1) == [EVENT.id.encode()]


async def test_handing_a_job_back_costs_it_no_attempt(redis: Any) -> None:
    ann, bob = worker(redis, "ann"), worker(redis, "bob")
    await attempt_of(ann)

    await ann.finish("lab.answer", [ending(1, "queued", counts=False)])

    assert (await job(redis)).attempt == 0
    assert await attempt_of(bob) == 1


async def test_a_retry_waits_in_redis_and_comes_as_a_reference_with_its_event(redis: Any) -> None:
    ann = worker(redis, "ann")
    await attempt_of(ann)
    await ann.finish("lab.answer", [ending(1, "retrying", wait=timedelta(milliseconds=50))])

    early = await ann.move_due("lab.answer")
    copy_of_the_event = await attempt_of(ann, "a copy")
    await asyncio.sleep(0.07)
    late = await ann.move_due("lab.answer")
    ((_, fields),) = await redis.xrange("queue:{lab.answer}")
    reference = Delivery(NOWHERE, token="q", channel="queue", handle=b"", event_id=fields[b"job"].decode())
    (verdict,) = await ann.claim(HANDLER, [reference])

    assert (early.moved, copy_of_the_event, late.moved, late.until_next) == (0, 0, 1, None)
    assert verdict.attempt == 2
    assert EVENT.id.encode() in verdict.event


async def test_a_reference_to_a_job_that_is_gone_is_done_with(redis: Any) -> None:
    reference = Delivery(NOWHERE, token="q", channel="queue", handle=b"", event_id="gone")

    (verdict,) = await worker(redis, "ann").claim(HANDLER, [reference])

    assert verdict.attempt == 0


async def test_everything_that_a_job_leaves_behind_ends_by_itself(redis: Any) -> None:
    ann = worker(redis, "ann")
    await attempt_of(ann)
    running_ttl = await redis.pttl(f"job:{{lab.answer}}:{EVENT.id}")
    await ann.finish("lab.answer", [ending(1)])
    finished_ttl = await redis.pttl(f"job:{{lab.answer}}:{EVENT.id}")

    assert 0 < finished_ttl <= 3_600_000 < running_ttl
    assert await redis.exists("running:{lab.answer}", "waiting:{lab.answer}", "dead:{lab.answer}") == 0


async def said(redis: Any, **changes: Any) -> None:
    await HandlerControl(redis).change("lab.answer", changes)


async def verdicts_on(store: JobStore, count: int) -> list[Verdict]:
    """What becomes of so many events that come together."""
    deliveries = [
        Delivery(
            NOWHERE,
            token=str(n),
            channel="events:lab.asked",
            handle=b"",
            envelope=wrap(Asked(n=n), source="/l"),
        )
        for n in range(count)
    ]
    return await store.claim(HANDLER, deliveries)


async def test_a_job_that_may_not_start_is_queued_and_starts_when_it_may(redis: Any) -> None:
    ann = worker(redis, "ann")

    await said(redis, paused=True)
    (refused,) = await ann.claim(HANDLER, [delivery()])
    queued = await job(redis)
    await said(redis, paused=False)
    attempt = await attempt_of(ann)

    assert (refused.attempt, refused.limit, refused.wait_ms) == (NOT_NOW, b"paused", 1000)
    assert (queued.state, queued.attempt) == ("queued", 0)
    assert attempt == 1


async def test_a_job_whose_worker_died_counts_the_death_and_waits_for_the_pause_to_end(redis: Any) -> None:
    ann, bob = worker(redis, "ann"), worker(redis, "bob")
    await attempt_of(ann)
    await said(redis, paused=True)
    await asyncio.sleep(0.08)

    assert await attempt_of(bob) == NOT_NOW
    assert await attempt_of(bob) == NOT_NOW
    queued = await job(redis)
    late = await ann.finish("lab.answer", [ending(1)])
    await said(redis, paused=False)
    attempt = await attempt_of(bob)

    assert (queued.state, queued.attempt, len(queued.attempts)) == ("queued", 1, 1)
    assert (late, attempt) == ([False], 2)


async def test_a_lost_reply_costs_no_second_start(redis: Any) -> None:
    ann = worker(redis, "ann")
    await said(redis, concurrency=1, rate=0.001)

    assert [await attempt_of(ann), await attempt_of(ann)] == [1, 1]


async def test_a_rate_lets_a_tenth_of_a_second_start_at_once_and_says_when_the_next_may(redis: Any) -> None:
    await said(redis, rate=100)

    verdicts = await verdicts_on(worker(redis, "ann"), 20)

    assert [verdict.attempt for verdict in verdicts] == [1] * 11 + [NOT_NOW] * 9
    waits = [verdict.wait_ms for verdict in verdicts[11:]]
    assert waits == [10, 20, 30, 40, 50, 60, 60, 60, 60]
    assert 0 < await redis.pttl("rate:{lab.answer}") <= 111


async def test_a_cap_counts_what_other_workers_run_but_not_what_dead_ones_ran(redis: Any) -> None:
    await said(redis, concurrency=2)
    await verdicts_on(worker(redis, "ann", lease=timedelta(seconds=0.5)), 1)

    full = await verdicts_on(worker(redis, "bob", lease=timedelta(minutes=1)), 2)
    await asyncio.sleep(0.55)
    free = await verdicts_on(worker(redis, "bob"), 2)

    assert [verdict.attempt for verdict in full] == [1, NOT_NOW]
    assert [verdict.attempt for verdict in free] == [1, NOT_NOW]


async def test_limits_that_are_no_numbers_are_no_limits(redis: Any) -> None:
    ann = worker(redis, "ann")
    await redis.hset("control:{lab.answer}", mapping={"rate": "fast", "concurrency": "-1", "since": "once"})

    due = await ann.move_due("lab.answer")

    assert (due.limits, await attempt_of(ann)) == (Limits(), 1)
