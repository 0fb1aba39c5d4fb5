"""Later, too late, cancelled, once more: the same on Redis Streams and on JetStream."""

import asyncio
from datetime import UTC, datetime, timedelta

from shared.clock import rfc3339
from shared.contracts import DELIVER_AT, EXPIRES_AT, Envelope, wrap
from shared.jobs import CANCELLING, GONE, Handlers, Job, JobControl, Retry
from tests.conformance.conftest import Asked, Lab, MakeLab
from tests.until import until

QUICK = Retry(attempts=3, base=timedelta(milliseconds=20), jitter=False)


def asked(n: int = 1, extensions: dict[str, str] | None = None) -> Envelope:
    return wrap(Asked(n=n), source="/lab", extensions=extensions)


def in_(seconds: float) -> str:
    return rfc3339(datetime.now(UTC) + timedelta(seconds=seconds))


def control(lab: Lab) -> JobControl:
    return JobControl(lab.redis, keep=timedelta(hours=1))


async def cancel(lab: Lab, envelope: Envelope) -> str:
    return await control(lab).cancel("lab.answer", envelope.id, event_type="lab.asked")


async def replay(lab: Lab, envelope: Envelope, event: bytes = b"") -> str:
    return await control(lab).replay(
        "lab.answer", envelope.id, event_type="lab.asked", service="lab", max_attempts=3, event=event
    )


async def test_an_event_for_later_waits_and_then_runs(lab: Lab) -> None:
    handlers, ran_at = Handlers("lab"), list[datetime]()

    @handlers.on(Asked)
    async def answer(event: Asked) -> int:
        ran_at.append(datetime.now(UTC))
        return event.n

    later = asked(1, {DELIVER_AT: in_(1.2)})
    async with lab.service(handlers):
        await lab.bus.publish([later])
        waiting = await lab.reaches("queued", "lab.answer", later)
        await lab.settles("lab.answer")
        await lab.bus.publish([later])
        done = await lab.reaches("succeeded", "lab.answer", later)

    assert waiting.due_at is not None
    assert len(ran_at) == 1
    assert ran_at[0] >= waiting.due_at
    assert (done.attempt, done.due_at) == (1, None)


async def test_what_waits_survives_the_restart_of_its_service(lab: Lab) -> None:
    handlers = Handlers("lab")

    @handlers.on(Asked)
    async def answer(event: Asked) -> int:
        return event.n

    later = asked(1, {DELIVER_AT: in_(0.5)})
    async with lab.service(handlers):
        await lab.bus.publish([later])
        await lab.reaches("queued", "lab.answer", later)
    async with lab.service(handlers):
        await lab.reaches("succeeded", "lab.answer", later)


async def test_an_event_that_comes_too_late_expires_without_a_run(lab: Lab) -> None:
    handlers, seen = Handlers("lab"), list[int]()

    @handlers.on(Asked)
    async def answer(event: Asked) -> None:
        seen.append(event.n)

    late, in_time = asked(1, {EXPIRES_AT: in_(-1)}), asked(2, {EXPIRES_AT: in_(60)})
    async with lab.service(handlers):
        await lab.bus.publish([late, in_time])
        expired = await lab.reaches("expired", "lab.answer", late)
        await lab.reaches("succeeded", "lab.answer", in_time)
        await lab.settles("lab.answer")

    assert (expired.reason, expired.attempt, seen) == ("expired", 0, [2])


async def test_a_retry_after_the_expiry_does_not_run(lab: Lab) -> None:
    handlers, runs = Handlers("lab"), list[int]()

    @handlers.on(Asked, retry=Retry(attempts=5, base=timedelta(seconds=1), jitter=False))
    async def answer(event: Asked, job: Job) -> None:
        runs.append(job.attempt)
        raise RuntimeError(str(event.n))

    hasty = asked(1, {EXPIRES_AT: in_(0.7)})
    async with lab.service(handlers):
        await lab.bus.publish([hasty])
        await lab.reaches("expired", "lab.answer", hasty)

    assert runs == [1]


async def test_a_running_job_is_cancelled_and_its_handler_is_told(lab: Lab) -> None:
    handlers, started, told = Handlers("lab"), asyncio.Event(), asyncio.Event()

    @handlers.on(Asked)
    async def answer(event: Asked) -> None:
        started.set()
        try:
            await asyncio.sleep(60 * event.n)
        except asyncio.CancelledError:
            told.set()
            raise

    async with lab.service(handlers):
        (running,) = await lab.publish(Asked(n=1))
        await asyncio.wait_for(started.wait(), timeout=5)
        answered = await cancel(lab, running)
        job = await lab.reaches("cancelled", "lab.answer", running, within=3)
        await lab.settles("lab.answer")

    assert (answered, told.is_set(), job.attempt) == (CANCELLING, True, 1)
    assert await lab.redis.scard("cancelling:{lab.answer}") == 0


async def test_a_job_is_cancelled_while_no_worker_lives_and_never_runs(lab: Lab) -> None:
    handlers, seen = Handlers("lab"), list[int]()

    @handlers.on(Asked)
    async def answer(event: Asked) -> None:
        seen.append(event.n)

    async with lab.service(handlers):
        pass
    unwanted, wanted = await lab.publish(Asked(n=1), Asked(n=2))
    answered = await cancel(lab, unwanted)
    async with lab.service(handlers):
        await lab.reaches("succeeded", "lab.answer", wanted)
        await lab.settles("lab.answer")

    job = await lab.job("lab.answer", unwanted.id)
    assert job is not None
    assert (answered, job.state, seen) == ("cancelled", "cancelled", [2])


async def test_a_waiting_job_is_cancelled(lab: Lab) -> None:
    handlers, runs = Handlers("lab"), list[int]()

    @handlers.on(Asked, retry=Retry(attempts=5, base=timedelta(milliseconds=500), jitter=False))
    async def answer(event: Asked, job: Job) -> None:
        runs.append(job.attempt)
        raise RuntimeError(str(event.n))

    async with lab.service(handlers):
        (waiting,) = await lab.publish(Asked(n=1))
        await lab.reaches("retrying", "lab.answer", waiting)
        answered = await cancel(lab, waiting)
        later = await lab.publish(Asked(n=2))
        await lab.reaches("retrying", "lab.answer", later[0])

    assert answered == "cancelled"
    assert await lab.redis.zcard("waiting:{lab.answer}") == 1
    assert runs == [1, 1]


async def test_a_job_that_shrugs_off_its_cancellation_by_failing_is_not_retried(lab: Lab) -> None:
    handlers, started = Handlers("lab"), asyncio.Event()

    @handlers.on(Asked, retry=QUICK)
    async def answer(event: Asked) -> None:
        started.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError as cancelled:
            raise RuntimeError(f"{event.n} will not stop") from cancelled

    async with lab.service(handlers):
        (stubborn,) = await lab.publish(Asked(n=1))
        await asyncio.wait_for(started.wait(), timeout=5)
        await cancel(lab, stubborn)
        job = await lab.reaches("cancelled", "lab.answer", stubborn, within=3)

    assert job.attempt == 1


async def test_a_finished_job_cannot_be_cancelled(lab: Lab) -> None:
    handlers = Handlers("lab")

    @handlers.on(Asked)
    async def answer(event: Asked) -> int:
        return event.n

    async with lab.service(handlers):
        (done,) = await lab.publish(Asked(n=1))
        await lab.reaches("succeeded", "lab.answer", done)

        assert await cancel(lab, done) == "succeeded"

    job = await lab.job("lab.answer", done.id)
    assert job is not None
    assert job.state == "succeeded"


async def test_the_job_of_a_dead_worker_is_cancelled_when_it_is_taken_over(make_lab: MakeLab) -> None:
    lab = await make_lab(grace=timedelta(milliseconds=50))
    handlers, started = Handlers("lab"), asyncio.Event()

    @handlers.on(Asked)
    async def answer(event: Asked) -> None:
        started.set()
        await asyncio.sleep(60 * event.n)

    async with lab.service(handlers):
        (orphan,) = await lab.publish(Asked(n=1))
        await asyncio.wait_for(started.wait(), timeout=5)
        await lab.redis.hset(f"job:{{lab.answer}}:{orphan.id}", "worker", "somebody who died")
        assert await cancel(lab, orphan) == CANCELLING
    async with lab.service(handlers):
        await lab.reaches("cancelled", "lab.answer", orphan, within=10)


async def test_a_handler_whose_job_was_taken_over_is_told_and_changes_nothing(lab: Lab) -> None:
    handlers, started, told = Handlers("lab"), asyncio.Event(), asyncio.Event()

    @handlers.on(Asked)
    async def answer(event: Asked) -> None:
        started.set()
        try:
            await asyncio.sleep(60 * event.n)
        except asyncio.CancelledError:
            told.set()
            raise

    async with lab.service(handlers):
        (job,) = await lab.publish(Asked(n=1))
        await asyncio.wait_for(started.wait(), timeout=5)
        new_owner = {"worker": "another", "attempt": 2}
        await lab.redis.hset(f"job:{{lab.answer}}:{job.id}", mapping=new_owner)
        await asyncio.wait_for(told.wait(), timeout=5)

    taken_over = await lab.job("lab.answer", job.id)
    assert taken_over is not None
    assert (taken_over.worker, taken_over.attempt, taken_over.state) == ("another", 2, "running")


async def test_a_dead_job_runs_again_with_its_event_and_fresh_attempts(lab: Lab) -> None:
    handlers, broken = Handlers("lab"), True

    @handlers.on(Asked, retry=QUICK)
    async def answer(event: Asked, job: Job) -> list[int]:
        if broken:
            raise RuntimeError("broken")
        return [event.n, job.attempt]

    async with lab.service(handlers):
        (asked_,) = await lab.publish(Asked(n=7))
        await lab.reaches("dead", "lab.answer", asked_)
        broken = False
        answered = await replay(lab, asked_)
        job = await lab.reaches("succeeded", "lab.answer", asked_)

    assert (answered, job.to_api()["result"]) == ("queued", [7, 1])
    assert (job.reason, job.error) == (None, None)
    assert len(job.attempts) == 3
    assert await lab.dead_letters("lab.answer") == []


async def test_only_what_ended_without_success_runs_again(lab: Lab) -> None:
    handlers = Handlers("lab")

    @handlers.on(Asked)
    async def answer(event: Asked) -> int:
        return event.n

    async with lab.service(handlers):
        (done,) = await lab.publish(Asked(n=1))
        await lab.reaches("succeeded", "lab.answer", done)

        assert await replay(lab, done) == "succeeded"
        assert await replay(lab, asked(2)) == GONE


async def test_a_job_that_redis_forgot_runs_again_from_the_event_that_somebody_kept(lab: Lab) -> None:
    handlers, broken = Handlers("lab"), True

    @handlers.on(Asked, retry=Retry(attempts=1))
    async def answer(event: Asked) -> int:
        if broken:
            raise RuntimeError("broken")
        return event.n

    async with lab.service(handlers):
        (asked_,) = await lab.publish(Asked(n=3))
        dead = await lab.reaches("dead", "lab.answer", asked_)
        await lab.redis.delete(f"job:{{lab.answer}}:{asked_.id}")
        broken = False
        assert dead.event is not None
        assert await replay(lab, asked_, dead.event) == "queued"

        async def done() -> bool:
            job = await lab.job("lab.answer", asked_.id)
            return job is not None and job.state == "succeeded"

        await until(done)
