"""Docket: jobs in a Redis stream with a consumer group, each job's state in a hash."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvloop
from docket import Docket

from bench import tally
from bench.contenders import command
from bench.contenders.command import Contender, payload

URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379")
CONTENDER = Contender(
    title="Docket",
    packages=("pydocket", "redis"),
    note="concurrency 256, all else as it comes (uvloop made no difference); bulk by add_many",
    acknowledges=True,
    keeps_result=True,
)
# Each running job uses a connection, and redis-py's pool ends at 100.
ROOM = "max_connections=1024"
door = Docket(name="bench", url=f"{URL}?{ROOM}")


async def noop(parcel_id: str, sku: str, note: str) -> dict[str, str]:
    """No work at all."""
    del parcel_id, note
    tally.hit()
    return {"taken": sku}


async def nap(parcel_id: str, sku: str, note: str) -> dict[str, str]:
    """Wait, as for an answer from elsewhere."""
    del parcel_id, note
    await asyncio.sleep(command.NAP_S)
    tally.hit()
    return {"taken": sku}


async def stamp(sent_ns: int) -> None:
    """Tell how long ago this was sent."""
    tally.latency(time.time_ns() - sent_ns)


tasks = [noop, nap, stamp]


@asynccontextmanager
async def opened() -> AsyncIterator[None]:
    """The docket's connections."""
    async with door:
        for task in tasks:
            door.register(task)
        yield


async def enqueue_one(n: int) -> None:
    """One job."""
    await door.add(noop)(*payload(n))


async def enqueue_many(first: int, count: int) -> None:
    """A pipeline."""
    await door.add_many(door.call(noop)(*payload(n)) for n in range(first, first + count))


async def enqueue_nap(n: int) -> None:
    """One job that waits."""
    await door.add(nap)(*payload(n))


async def enqueue_naps(first: int, count: int) -> None:
    """A pipeline of jobs that wait."""
    await door.add_many(door.call(nap)(*payload(n)) for n in range(first, first + count))


async def enqueue_stamp(sent_ns: int) -> None:
    """One job that tells when it started."""
    await door.add(stamp)(sent_ns)


async def states() -> int:
    """Jobs whose state is completed."""
    async with door.redis() as redis, redis.pipeline(transaction=False) as pipe:
        async for key in redis.scan_iter(door.runs_key("*"), count=5000):
            pipe.hget(key, "state")
        return sum(state == b"completed" for state in await pipe.execute())


def worker_argv(concurrency: int, variant: str) -> list[str]:
    """Its command line, by way of a shell: its URL has a variable of its own."""
    del variant
    worker = command.python(
        "docket", "worker", "--docket", "bench", "--tasks", "bench.contenders.docket:tasks",
        "--concurrency", str(concurrency), "--logging-level", "WARNING",
    )  # fmt: skip
    return ["/bin/sh", "-c", f'DOCKET_URL="$REDIS_URL?{ROOM}" exec "$@"', "sh", *worker]


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
