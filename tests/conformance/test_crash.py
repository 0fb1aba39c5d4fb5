"""Workers that are killed, paused or take themselves down: no job is lost, none ends twice, on both buses."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress

import pytest

from shared.jobs import JobRecord
from tests.conformance.conftest import Asked, Lab, all_of
from tests.until import until

StartWorker = Callable[..., Awaitable[asyncio.subprocess.Process]]
LEASE_S = 1.0


@pytest.fixture
async def start_worker(lab: Lab) -> AsyncGenerator[StartWorker]:
    workers: list[asyncio.subprocess.Process] = []

    async def start(*, announced: bool = True, **variables: str) -> asyncio.subprocess.Process:
        environment = {
            **os.environ,
            "REDIS_URL": lab.settings.redis_url.get_secret_value(),
            "NATS_URL": lab.settings.nats_url.get_secret_value(),
            "BUS_ROUTES": lab.settings.bus_routes,
            "LEASE": str(LEASE_S),
            "LOG_LEVEL": "warning",
            "LOG_FORMAT": "json",
            **variables,
        }
        worker = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.conformance.crash_worker",
            env=environment,
            stdout=asyncio.subprocess.PIPE,
        )
        workers.append(worker)
        if announced:
            await until(lambda: has_announced(lab, worker), within=20, what="the worker's announcement")
        return worker

    yield start
    for worker in workers:
        with suppress(ProcessLookupError):
            worker.send_signal(signal.SIGCONT)
            worker.kill()
        await worker.wait()


async def has_announced(lab: Lab, worker: asyncio.subprocess.Process) -> bool:
    ids = await lab.redis.zrange("workers", 0, -1)
    assert worker.returncode is None, "the worker did not start"
    return any(f"-{worker.pid}-".encode() in id_ for id_ in ids)


async def runs_at(lab: Lab, event_id: str, worker: asyncio.subprocess.Process) -> bool:
    job = await lab.job("lab.answer", event_id)
    return job is not None and job.state == "running" and f"-{worker.pid}-" in (job.worker or "")


async def test_the_jobs_of_a_killed_worker_are_taken_over_and_none_is_lost(
    lab: Lab, start_worker: StartWorker
) -> None:
    first, _ = [await start_worker() for _ in range(2)]
    published = await lab.publish(*(Asked(n=400) for _ in range(100)))

    async def under_way() -> bool:
        for envelope in published:
            if await runs_at(lab, envelope.id, first):
                return True
        return False

    await until(under_way)
    first.kill()
    await all_of(lab, "succeeded", "lab.answer", published)
    await lab.settles("lab.answer")

    jobs = [await lab.job("lab.answer", envelope.id) for envelope in published]
    again = [job for job in jobs if job is not None and job.attempt > 1]
    assert again, "the worker was killed while it had jobs"
    assert all(job.attempts[0]["error"]["type"] == "WorkerLost" for job in again)
    assert await lab.redis.zcard("running:{lab.answer}") == 0


async def test_a_worker_that_slept_through_its_lease_cannot_end_what_another_took_over(
    lab: Lab, start_worker: StartWorker
) -> None:
    sleeper = await start_worker()
    (asked,) = await lab.publish(Asked(n=700))
    await until(lambda: runs_at(lab, asked.id, sleeper))

    sleeper.send_signal(signal.SIGSTOP)
    rightful = await start_worker()
    await until(lambda: runs_at(lab, asked.id, rightful), within=LEASE_S + 5)
    sleeper.send_signal(signal.SIGCONT)
    job = await lab.reaches("succeeded", "lab.answer", asked)
    await lab.settles("lab.answer")

    assert job.to_api()["result"] == {"pid": rightful.pid, "attempt": 2}
    assert sleeper.stdout is not None
    async with asyncio.timeout(10):
        # It woke up, came to its end, and was refused.
        assert b"job.fenced" in await sleeper.stdout.readuntil(b"job.fenced")


async def test_the_jobs_of_a_worker_whose_loop_is_blocked_are_taken_over(
    lab: Lab, start_worker: StartWorker
) -> None:
    workers = [await start_worker() for _ in range(2)]
    (blocking,) = await lab.publish(Asked(n=8000, what="block"))

    async def who_blocks() -> asyncio.subprocess.Process | None:
        runs = [await runs_at(lab, blocking.id, worker) for worker in workers]
        return workers[runs.index(True)] if any(runs) else None

    blocked = await until(who_blocks)
    (rightful,) = [worker for worker in workers if worker is not blocked]
    others = await lab.publish(*(Asked(n=1) for _ in range(20)))
    await all_of(lab, "succeeded", "lab.answer", others)
    job = await lab.reaches("succeeded", "lab.answer", blocking, within=LEASE_S + 20)
    await lab.settles("lab.answer")

    assert job.to_api()["result"] == {"pid": rightful.pid, "attempt": 2}
    assert job.attempts[0]["error"]["type"] == "WorkerLost"
    assert blocked.stdout is not None
    async with asyncio.timeout(20):
        # It was told of with the line that blocks; when it came to its end, that was refused.
        assert (
            b"time.sleep" in await blocked.stdout.readuntil(b"loop.blocked") + await blocked.stdout.readline()
        )
        assert b"job.fenced" in await blocked.stdout.readuntil(b"job.fenced")
    assert blocked.returncode is None


async def test_a_worker_ends_though_a_handler_swallows_each_cancellation(
    lab: Lab, start_worker: StartWorker
) -> None:
    worker = await start_worker(GRACE="0.1")
    (asked,) = await lab.publish(Asked(n=1, what="deaf"))
    await until(lambda: runs_at(lab, asked.id, worker))

    worker.terminate()
    async with asyncio.timeout(30):
        code = await worker.wait()
    job = await lab.job("lab.answer", asked.id)

    assert code == 0
    assert job is not None
    assert (job.state, job.attempt) == ("queued", 0)


async def test_a_job_that_takes_its_worker_down_is_poison_and_takes_no_other_along(
    lab: Lab, start_worker: StartWorker
) -> None:
    worker = await start_worker()
    # Those that are in the same hands each time run longer than it takes to die.
    innocent = await lab.publish(*(Asked(n=600) for _ in range(3)))
    (poison,) = await lab.publish(Asked(n=300, what="exit"))

    async def is_dead() -> JobRecord | None:
        """Starts the worker again whenever it died, as a supervisor would, announced or not."""
        nonlocal worker
        if worker.returncode is not None:
            worker = await start_worker(announced=False)
        job = await lab.job("lab.answer", poison.id)
        return job if job is not None and job.state == "dead" else None

    job = await until(is_dead, within=90)
    (good,) = await lab.publish(Asked(n=1))
    await all_of(lab, "succeeded", "lab.answer", [*innocent, good])
    await lab.settles("lab.answer")
    others = [await lab.job("lab.answer", envelope.id) for envelope in innocent]

    assert (job.reason, job.attempt, len(job.attempts)) == ("poison", 3, 3)
    assert all(other is not None and len(other.attempts) >= 2 for other in others), "they died with it"
    assert worker.returncode is None
