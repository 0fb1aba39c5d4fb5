"""streaQ: ids of jobs in a Redis stream, each job's state in keys that its scripts keep."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvloop
from streaq import Worker

from bench import tally
from bench.contenders import command
from bench.contenders.command import Contender, payload

URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379")
CONTENDER = Contender(
    title="streaQ",
    packages=("streaq", "coredis"),
    note="concurrency 32 and the same prefetched; pickle, its default; uvloop by anyio; silent tasks",
    acknowledges=True,
    keeps_result=True,
    concurrency=32,
)

worker = Worker(
    redis_url=URL,
    queue_name="bench",
    concurrency=int(os.environ.get("BENCH_CONCURRENCY", "256")),
    anyio_kwargs={"use_uvloop": True},
)


@worker.task(name="noop", silent=True)
async def noop(parcel_id: str, sku: str, note: str) -> dict[str, str]:
    """No work at all."""
    del parcel_id, note
    tally.hit()
    return {"taken": sku}


@worker.task(name="nap", silent=True)
async def nap(parcel_id: str, sku: str, note: str) -> dict[str, str]:
    """Wait, as for an answer from elsewhere."""
    del parcel_id, note
    await asyncio.sleep(command.NAP_S)
    tally.hit()
    return {"taken": sku}


@worker.task(name="stamp", silent=True)
async def stamp(sent_ns: int) -> None:
    """Tell how long ago this was sent."""
    tally.latency(time.time_ns() - sent_ns)


@asynccontextmanager
async def opened() -> AsyncIterator[None]:
    """The client of the worker object, which is how its users enqueue."""
    async with worker:
        yield


async def enqueue_one(n: int) -> None:
    """One job."""
    await noop.enqueue(*payload(n))


async def enqueue_many(first: int, count: int) -> None:
    """A pipeline."""
    await worker.enqueue_many([noop.enqueue(*payload(n)) for n in range(first, first + count)])


async def enqueue_nap(n: int) -> None:
    """One job that waits."""
    await nap.enqueue(*payload(n))


async def enqueue_naps(first: int, count: int) -> None:
    """A pipeline of jobs that wait."""
    await worker.enqueue_many([nap.enqueue(*payload(n)) for n in range(first, first + count)])


async def enqueue_stamp(sent_ns: int) -> None:
    """One job that tells when it started."""
    await stamp.enqueue(sent_ns)


async def states() -> int:
    """Jobs that are done, with their result."""
    return len([done for done in await worker.get_tasks_by_status("done", limit=10**6) if done.success])


def worker_argv(concurrency: int, variant: str) -> list[str]:
    """Its command line, by way of `env`: the worker is an object of this module."""
    del variant
    return [
        "/usr/bin/env", f"BENCH_CONCURRENCY={concurrency}",
        *command.program("streaq", "run", "bench.contenders.streaq:worker"),
    ]  # fmt: skip


if __name__ == "__main__":
    command.main(
        CONTENDER,
        enqueue_one=enqueue_one,
        enqueue_many=enqueue_many,
        enqueue_nap=enqueue_nap,
        enqueue_naps=enqueue_naps,
        enqueue_stamp=enqueue_stamp,
        worker_argv=worker_argv,
        states=states,
        opened=opened,
        run=uvloop.run,
    )
