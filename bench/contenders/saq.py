"""SAQ: ids of jobs in a Redis list, each job a key that is written anew at every step."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import uvloop
from saq import Queue

from bench import tally
from bench.contenders import command
from bench.contenders.command import Contender, payload

URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379")
CONTENDER = Contender(
    title="SAQ",
    packages=("saq", "redis"),
    note="concurrency 100, orjson by dump and load, uvloop; bulk by gather over its pool of connections",
    acknowledges=True,
    keeps_result=True,
    concurrency=100,
)

asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
queue = Queue.from_url(URL, dump=orjson.dumps, load=orjson.loads)


async def noop(context: dict[str, Any], *, parcel_id: str, sku: str, note: str) -> dict[str, str]:
    """No work at all."""
    del context, parcel_id, note
    tally.hit()
    return {"taken": sku}


async def nap(context: dict[str, Any], *, parcel_id: str, sku: str, note: str) -> dict[str, str]:
    """Wait, as for an answer from elsewhere."""
    del context, parcel_id, note
    await asyncio.sleep(command.NAP_S)
    tally.hit()
    return {"taken": sku}


async def stamp(context: dict[str, Any], *, sent_ns: int) -> None:
    """Tell how long ago this was sent."""
    del context
    tally.latency(time.time_ns() - sent_ns)


settings = {
    "queue": queue,
    "functions": [noop, nap, stamp],
    "concurrency": int(os.environ.get("BENCH_CONCURRENCY", "256")),
}


@asynccontextmanager
async def opened() -> AsyncIterator[None]:
    """The queue's connections."""
    await queue.connect()
    try:
        yield
    finally:
        await queue.disconnect()


async def enqueue_one(n: int) -> None:
    """One job."""
    await _enqueue("noop", n)


async def enqueue_many(first: int, count: int) -> None:
    """All at once; the queue lets 20 through at a time."""
    await asyncio.gather(*(_enqueue("noop", n) for n in range(first, first + count)))


async def enqueue_nap(n: int) -> None:
    """One job that waits."""
    await _enqueue("nap", n)


async def enqueue_naps(first: int, count: int) -> None:
    """Many jobs that wait."""
    await asyncio.gather(*(_enqueue("nap", n) for n in range(first, first + count)))


async def enqueue_stamp(sent_ns: int) -> None:
    """One job that tells when it started."""
    await queue.enqueue("stamp", sent_ns=sent_ns)


async def states() -> int:
    """Jobs that are complete, with their result."""
    return len([job async for job in queue.iter_jobs(statuses=["complete"], batch_size=5000)])


def worker_argv(concurrency: int, variant: str) -> list[str]:
    """Its command line, by way of `env`: the settings are read from this module."""
    del variant
    return [
        "/usr/bin/env",
        f"BENCH_CONCURRENCY={concurrency}",
        *command.program("saq", "bench.contenders.saq.settings"),
    ]


async def _enqueue(function: str, n: int) -> None:
    parcel_id, sku, note = payload(n)
    await queue.enqueue(function, parcel_id=parcel_id, sku=sku, note=note)


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
