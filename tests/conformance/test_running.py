"""Starting, running side by side and stopping, the same on Redis Streams and on JetStream."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from shared.bus import Delivery
from shared.jobs import Handler, Handlers, Job, Retry
from shared.jobs.store import JobStore, Verdict
from shared.service import Service
from shared.testing import settle
from tests.conformance.conftest import Answered, Asked, Lab, MakeLab, all_of


async def test_events_that_were_published_before_the_first_start_are_not_lost(lab: Lab) -> None:
    """On JetStream the consumer must exist: a service that ran once, or `trunkline migrate`, makes it."""
    handlers, seen = Handlers("lab"), list[int]()

    @handlers.on(Asked)
    async def answer(event: Asked) -> None:
        seen.append(event.n)

    async with lab.service(handlers):
        pass
    published = await lab.publish(*(Asked(n=n) for n in range(50)))

    async with lab.service(handlers):
        await all_of(lab, "succeeded", "lab.answer", published)

    assert sorted(seen) == list(range(50))


async def test_no_more_jobs_run_at_a_time_than_the_handler_allows(lab: Lab) -> None:
    handlers, running, most = Handlers("lab"), set[int](), 0

    @handlers.on(Asked, concurrency=3)
    async def answer(event: Asked) -> None:
        nonlocal most
        running.add(event.n)
        most = max(most, len(running))
        await asyncio.sleep(0.01)
        running.remove(event.n)

    async with lab.service(handlers):
        published = await lab.publish(*(Asked(n=n) for n in range(30)))
        await all_of(lab, "succeeded", "lab.answer", published)

    assert most == 3


async def test_stopping_lets_running_jobs_end(lab: Lab) -> None:
    handlers, started = Handlers("lab"), asyncio.Event()

    @handlers.on(Asked)
    async def answer(event: Asked) -> int:
        started.set()
        await asyncio.sleep(0.3)
        return event.n

    async with lab.service(handlers):
        (asked,) = await lab.publish(Asked(n=9))
        await asyncio.wait_for(started.wait(), timeout=5)
    job = await lab.job("lab.answer", asked.id)

    assert job is not None
    assert (job.state, job.attempt) == ("succeeded", 1)
    await lab.settles("lab.answer")


async def test_a_service_that_stopped_leaves_no_consumer_behind(lab: Lab) -> None:
    handlers = Handlers("lab")

    @handlers.on(Asked)
    async def answer(event: Asked) -> int:
        return event.n

    async with lab.service(handlers):
        (asked,) = await lab.publish(Asked(n=1))
        await lab.reaches("succeeded", "lab.answer", asked)
        working = await lab.redis.xinfo_consumers("queue:{lab.answer}", "lab.answer")
    stopped = await lab.redis.xinfo_consumers("queue:{lab.answer}", "lab.answer")

    assert len(working) == 1
    assert stopped == []


async def test_what_does_not_end_within_the_grace_period_is_handed_back_without_an_attempt(
    make_lab: MakeLab,
) -> None:
    lab = await make_lab(grace=timedelta(milliseconds=100), lease=timedelta(minutes=5))
    handlers, runs, started = Handlers("lab"), list[int](), asyncio.Event()

    @handlers.on(Asked, retry=Retry(attempts=1))
    async def answer(event: Asked, job: Job) -> int:
        runs.append(job.attempt)
        started.set()
        if len(runs) == 1:
            await asyncio.sleep(60)
        return event.n

    async with lab.service(handlers):
        (asked,) = await lab.publish(Asked(n=9))
        await asyncio.wait_for(started.wait(), timeout=5)
    handed_back = await lab.job("lab.answer", asked.id)
    async with lab.service(handlers):
        # Far sooner than the lease: it was handed back, nobody had to notice a death.
        job = await lab.reaches("succeeded", "lab.answer", asked)
        await lab.settles("lab.answer")

    assert handed_back is not None
    assert (handed_back.state, handed_back.attempt) == ("queued", 0)
    assert (runs, job.attempt, job.attempts) == ([1, 1], 1, [])


async def test_a_chain_of_jobs_has_come_to_its_end_when_the_system_has_settled(lab: Lab) -> None:
    handlers = Handlers("lab")

    @handlers.on(Asked)
    async def answer(event: Asked) -> Answered:
        await asyncio.sleep(0.02)
        return Answered(n=event.n)

    @handlers.on(Answered)
    async def hear(event: Answered) -> int:
        await asyncio.sleep(0.02)
        return event.n

    async with lab.service(handlers) as service:
        published = await lab.publish(*(Asked(n=n) for n in range(19)))
        await settle(service)
        answers = [await lab.job("lab.answer", envelope.id) for envelope in published]
        heard = [
            await lab.job("lab.hear", caused["id"])
            for job in answers
            if job is not None
            for caused in job.caused
        ]

    assert len(heard) == 19
    assert all(job is not None and job.state == "succeeded" for job in [*answers, *heard])


async def test_a_job_that_lasts_several_leases_is_delivered_once(make_lab: MakeLab) -> None:
    lab = await make_lab(lease=timedelta(seconds=1))
    handlers, runs = Handlers("lab"), list[int]()

    @handlers.on(Asked)
    async def answer(event: Asked, job: Job) -> int:
        runs.append(job.attempt)
        await asyncio.sleep(4)
        return event.n

    # Two services: whoever is silent for a lease loses its jobs to the other.
    async with lab.service(handlers), lab.service(handlers):
        (asked,) = await lab.publish(Asked(n=9))
        job = await lab.reaches("succeeded", "lab.answer", asked, within=20)
        await lab.settles("lab.answer")

    assert runs == [1]
    assert (job.attempt, job.attempts) == (1, [])


async def test_a_process_that_lost_a_job_and_got_it_again_ends_the_later_attempt(make_lab: MakeLab) -> None:
    lab = await make_lab(lease=timedelta(seconds=1))
    handlers, begun, over = Handlers("lab"), asyncio.Event(), asyncio.Event()

    @handlers.on(Asked)
    async def answer(event: Asked, job: Job) -> str:
        if job.attempt == 1:
            begun.set()
            await over.wait()
        else:
            await asyncio.sleep(2)  # longer than it takes to notice that the first attempt lost the job
            over.set()
        return f"{event.n} by attempt {job.attempt}"

    async with lab.service(handlers):
        (asked,) = await lab.publish(Asked(n=9))
        await asyncio.wait_for(begun.wait(), timeout=5)
        # As after a pause of the whole process: the job is given away, and comes back to who had it.
        await lab.redis.hset(f"job:{{lab.answer}}:{asked.id}", "state", "queued")
        await lab.redis.zrem("running:{lab.answer}", asked.id)
        await lab.redis.xadd("queue:{lab.answer}", {"job": asked.id})
        job = await lab.reaches("succeeded", "lab.answer", asked, within=20)

    assert (job.attempt, job.attempts) == (2, [])
    assert job.to_api()["result"] == "9 by attempt 2"


async def test_a_fault_of_ours_in_a_claim_leaves_the_messages_to_be_delivered_again(lab: Lab) -> None:
    handlers, faults = Handlers("lab"), [RuntimeError("a fault of ours")]

    @handlers.on(Asked)
    async def answer(event: Asked) -> int:
        return event.n

    class Stumbling(JobStore):
        async def claim(self, handler: Handler, deliveries: Sequence[Delivery]) -> list[Verdict]:
            if faults:
                raise faults.pop()
            return await super().claim(handler, deliveries)

    service = Service("lab", handlers, lab.settings, store=Stumbling)
    await service.start()
    try:
        published = await lab.publish(Asked(n=1), Asked(n=2))
        await all_of(lab, "succeeded", "lab.answer", published)
        assert not faults
    finally:
        await service.stop()
