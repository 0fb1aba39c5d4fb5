"""Pause, concurrency and rate, changed while jobs run: the same on Redis Streams and on JetStream."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from shared.contracts import Envelope
from shared.jobs import HandlerControl, Handlers, Job, JobControl, JobReader, JobRecord, RetryAfter
from tests.conformance.conftest import Asked, Lab, MakeLab, all_of
from tests.conftest import Servers
from tests.until import until

ANSWER = "lab.answer"


@dataclass
class Overlap:
    """How many run now, and how many did at most."""

    now: int = 0
    most: int = 0
    ended: list[int] = field(default_factory=list)

    async def pass_through(self, n: int, *, took_s: float = 0.02) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(took_s)
        self.now -= 1
        self.ended.append(n)


async def change(lab: Lab, **changes: Any) -> None:
    await HandlerControl(lab.redis).change(ANSWER, changes)


async def jobs_of(lab: Lab, envelopes: list[Envelope]) -> list[JobRecord]:
    found = await JobReader(lab.redis).get([f"{ANSWER}:{envelope.id}" for envelope in envelopes])
    return [job for job in found if job is not None]


async def held(lab: Lab, envelopes: list[Envelope]) -> None:
    """Some of these jobs are in a worker's hand, and not started; how many depends on how they came."""

    async def there() -> bool:
        return any(job.state == "queued" for job in await jobs_of(lab, envelopes))

    await until(there, what="a job held")


def most_in_a_second(jobs: list[JobRecord]) -> int:
    """By the clock that the limit is kept by."""
    starts = sorted(job.started_at.timestamp() for job in jobs if job.started_at is not None)
    return max(sum(first <= start < first + 1 for start in starts) for first in starts)


async def test_a_paused_handler_starts_nothing_while_the_others_of_its_event_go_on(lab: Lab) -> None:
    handlers, go_on, seen = Handlers("lab"), asyncio.Event(), list[int]()

    @handlers.on(Asked)
    async def answer(event: Asked) -> None:
        seen.append(event.n)
        if event.n == 0:
            await go_on.wait()

    @handlers.on(Asked)
    async def listen(event: Asked) -> int:
        return event.n

    async with lab.service(handlers):
        (running,) = await lab.publish(Asked(n=0))
        await lab.reaches("running", ANSWER, running)
        await change(lab, paused=True, note="the relay is being moved")
        backlog = await lab.publish(*(Asked(n=n) for n in range(1, 40)))
        await all_of(lab, "succeeded", "lab.listen", [running, *backlog])
        go_on.set()
        await lab.reaches("succeeded", ANSWER, running)
        assert await lab.unacknowledged(ANSWER) >= len(backlog)
        assert seen == [0]

        await change(lab, paused=False)
        await all_of(lab, "succeeded", ANSWER, backlog)
        await lab.settles(ANSWER)

    assert sorted(seen) == list(range(40))


async def test_a_pause_outlives_the_workers(lab: Lab) -> None:
    handlers, seen = Handlers("lab"), list[int]()

    @handlers.on(Asked)
    async def answer(event: Asked) -> None:
        seen.append(event.n)

    @handlers.on(Asked)
    async def listen(event: Asked) -> int:
        return event.n

    await change(lab, paused=True)
    async with lab.service(handlers):
        published = await lab.publish(*(Asked(n=n) for n in range(5)))
        await all_of(lab, "succeeded", "lab.listen", published)
    async with lab.service(handlers):
        more = await lab.publish(*(Asked(n=n) for n in range(5, 10)))
        await all_of(lab, "succeeded", "lab.listen", more)
        assert (seen, await jobs_of(lab, [*published, *more])) == ([], [])

        await change(lab, paused=False)
        await all_of(lab, "succeeded", ANSWER, [*published, *more])

    assert sorted(seen) == list(range(10))


async def test_all_workers_together_never_run_more_than_the_cap(lab: Lab) -> None:
    handlers, overlap = Handlers("lab"), Overlap()

    @handlers.on(Asked, total_concurrency=3)
    async def answer(event: Asked) -> None:
        await overlap.pass_through(event.n)

    async with lab.service(handlers), lab.service(handlers):
        published = await lab.publish(*(Asked(n=n) for n in range(60)))
        await all_of(lab, "succeeded", ANSWER, published)
        await lab.settles(ANSWER)

    assert overlap.most == 3
    assert sorted(overlap.ended) == list(range(60))


async def test_a_cap_that_is_changed_holds_at_once(lab: Lab) -> None:
    handlers, overlap, may_end = Handlers("lab"), Overlap(), asyncio.Event()

    @handlers.on(Asked)
    async def answer(event: Asked) -> None:
        overlap.now += 1
        overlap.most = max(overlap.most, overlap.now)
        await may_end.wait()
        overlap.now -= 1
        overlap.ended.append(event.n)

    async def four_run() -> bool:
        return overlap.now == 4

    await change(lab, concurrency=1)
    async with lab.service(handlers):
        published = await lab.publish(*(Asked(n=n) for n in range(10)))
        await held(lab, published)
        assert overlap.now == 1
        await change(lab, concurrency=4)
        await until(four_run)
        await change(lab, concurrency=2)
        may_end.set()
        await all_of(lab, "succeeded", ANSWER, published)

    assert overlap.most == 4
    assert sorted(overlap.ended) == list(range(10))


async def test_one_worker_runs_no_more_than_the_operator_grants_it(lab: Lab) -> None:
    handlers, overlap = Handlers("lab"), Overlap()

    @handlers.on(Asked)
    async def answer(event: Asked) -> None:
        await overlap.pass_through(event.n)

    await change(lab, worker_concurrency=2)
    async with lab.service(handlers):
        published = await lab.publish(*(Asked(n=n) for n in range(20)))
        await all_of(lab, "succeeded", ANSWER, published)

    assert overlap.most == 2


async def test_all_workers_together_start_no_more_in_a_second_than_the_rate(lab: Lab) -> None:
    handlers = Handlers("lab")

    @handlers.on(Asked, rate=20)
    async def answer(event: Asked) -> int:
        return event.n

    async with lab.service(handlers), lab.service(handlers):
        published = await lab.publish(*(Asked(n=n) for n in range(50)))
        await all_of(lab, "succeeded", ANSWER, published)
        await lab.settles(ANSWER)

    assert most_in_a_second(await jobs_of(lab, published)) <= 1.1 * 20 + 1


async def test_retries_count_as_starts(lab: Lab) -> None:
    handlers, starts = Handlers("lab"), list[float]()

    @handlers.on(Asked)
    async def answer(event: Asked, job: Job) -> int:
        found = await lab.job(ANSWER, job.event_id)
        assert found is not None
        assert found.started_at is not None
        starts.append(found.started_at.timestamp())
        if job.attempt == 1:
            raise RetryAfter("once more", timedelta(0))
        return event.n

    await change(lab, rate=10)
    async with lab.service(handlers):
        published = await lab.publish(*(Asked(n=n) for n in range(10)))
        await all_of(lab, "succeeded", ANSWER, published)

    assert len(starts) == 20
    assert max(starts) - min(starts) >= (20 - 1) / 10 - 0.11


async def test_a_rate_that_is_raised_is_felt_by_what_waited_for_the_old_one(lab: Lab) -> None:
    handlers, seen = Handlers("lab"), list[int]()

    @handlers.on(Asked)
    async def answer(event: Asked) -> None:
        seen.append(event.n)

    await change(lab, rate=0.001)
    async with lab.service(handlers):
        published = await lab.publish(*(Asked(n=n) for n in range(8)))
        await held(lab, published)
        assert len(seen) == 1
        await change(lab, rate=100)
        await all_of(lab, "succeeded", ANSWER, published)


async def test_a_held_job_is_cancelled_and_its_message_acknowledged(lab: Lab) -> None:
    handlers, seen, may_end = Handlers("lab"), list[int](), asyncio.Event()

    @handlers.on(Asked, total_concurrency=1)
    async def answer(event: Asked) -> None:
        seen.append(event.n)
        await may_end.wait()

    async def only_one_left() -> bool:
        return await lab.unacknowledged(ANSWER) == 1

    async with lab.service(handlers):
        (first,) = await lab.publish(Asked(n=1))
        await lab.reaches("running", ANSWER, first)
        (second,) = await lab.publish(Asked(n=2))
        await lab.reaches("queued", ANSWER, second)
        control = JobControl(lab.redis, keep=timedelta(hours=1))
        answered = await control.cancel("lab.answer", second.id, event_type="lab.asked")
        await until(only_one_left)
        may_end.set()
        await lab.reaches("succeeded", ANSWER, first)

    assert (answered, seen) == ("cancelled", [1])


async def test_a_worker_that_stops_hands_back_what_it_holds_without_an_attempt(make_lab: MakeLab) -> None:
    lab = await make_lab(lease=timedelta(minutes=5))
    handlers, attempts = Handlers("lab"), list[int]()

    @handlers.on(Asked)
    async def answer(event: Asked, job: Job) -> int:
        attempts.append(job.attempt)
        return event.n

    await change(lab, rate=0.001)
    async with lab.service(handlers):
        published = await lab.publish(*(Asked(n=n) for n in range(6)))
        await held(lab, published)
    await change(lab, rate=None)
    async with lab.service(handlers):
        # Far sooner than the lease: it was handed back, nobody had to notice a death.
        await all_of(lab, "succeeded", ANSWER, published)

    assert attempts == [1] * 6


async def test_what_is_held_survives_a_redis_that_is_killed(lab: Lab, servers: Servers) -> None:
    handlers, seen = Handlers("lab"), list[int]()

    @handlers.on(Asked)
    async def answer(event: Asked) -> None:
        seen.append(event.n)

    await change(lab, rate=0.001)
    async with lab.service(handlers):
        published = await lab.publish(*(Asked(n=n) for n in range(6)))
        await held(lab, published)
        await asyncio.to_thread(servers.background.run, servers.redis.kill())
        await asyncio.to_thread(servers.background.run, servers.redis.start())
        await change(lab, rate=None)
        await all_of(lab, "succeeded", ANSWER, published)

    assert set(seen) == set(range(6))


async def test_a_handler_waits_in_hand_longer_than_a_lease_and_runs_once(make_lab: MakeLab) -> None:
    lab = await make_lab(lease=timedelta(seconds=1))
    handlers, attempts, may_end = Handlers("lab"), list[tuple[int, int]](), asyncio.Event()

    @handlers.on(Asked, total_concurrency=1)
    async def answer(event: Asked, job: Job) -> None:
        attempts.append((event.n, job.attempt))
        if event.n == 0:
            await may_end.wait()

    async with AsyncExitStack() as stack:
        await stack.enter_async_context(lab.service(handlers))
        (first,) = await lab.publish(Asked(n=0))
        await lab.reaches("running", ANSWER, first)
        published = await lab.publish(*(Asked(n=n) for n in range(1, 6)))
        await held(lab, published)
        await stack.enter_async_context(lab.service(handlers))
        leases = asyncio.get_running_loop().time() + 3

        async def three_leases_are_over() -> bool:
            return asyncio.get_running_loop().time() > leases

        await until(three_leases_are_over)
        may_end.set()
        await all_of(lab, "succeeded", ANSWER, [first, *published])
        await lab.settles(ANSWER)

    assert sorted(attempts) == [(n, 1) for n in range(6)]
