"""ARQ: jobs in a sorted set that the worker polls, a key for each job and each result."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import msgpack
import uvloop
from arq import ArqRedis, create_pool
from arq.connections import RedisSettings

from bench import tally
from bench.contenders import command
from bench.contenders.command import Contender, payload

URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379")
CONTENDER = Contender(
    title="ARQ",
    packages=("arq", "redis"),
    note=(
        "as it comes: max_jobs 10, polls every 0.5 s; tuned: max_jobs 256, polls every 10 ms; msgpack and "
        "uvloop in both; logs of warnings only; bulk by gather over its pool"
    ),
    variants={"": {}, "tuned": {"BENCH_ARQ": "tuned"}},
    acknowledges=True,
    keeps_result=True,
)
TUNED = os.environ.get("BENCH_ARQ") == "tuned"
SERIALIZER: dict[str, Any] = {"job_serializer": msgpack.packb, "job_deserializer": msgpack.unpackb}
LOGS = {"version": 1, "disable_existing_loggers": False, "loggers": {"arq": {"level": "WARNING"}}}

asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
pools: list[ArqRedis] = []


async def noop(context: dict[str, Any], parcel_id: str, sku: str, note: str) -> dict[str, str]:
    """No work at all."""
    del context, parcel_id, note
    tally.hit()
    return {"taken": sku}


async def nap(context: dict[str, Any], parcel_id: str, sku: str, note: str) -> dict[str, str]:
    """Wait, as for an answer from elsewhere."""
    del context, parcel_id, note
    await asyncio.sleep(command.NAP_S)
    tally.hit()
    return {"taken": sku}


async def stamp(context: dict[str, Any], sent_ns: int) -> None:
    """Tell how long ago this was sent."""
    del context
    tally.latency(time.time_ns() - sent_ns)


class WorkerSettings:
    """What `arq` reads; max_jobs and poll_delay come from its defaults where not tuned."""

    functions: ClassVar[list[Any]] = [noop, nap, stamp]
    redis_settings = RedisSettings.from_dsn(URL)
    job_serializer = staticmethod(msgpack.packb)
    job_deserializer = staticmethod(msgpack.unpackb)
    if TUNED:
        max_jobs = int(os.environ.get("BENCH_CONCURRENCY", "256"))
        poll_delay = 0.01


@asynccontextmanager
async def opened() -> AsyncIterator[None]:
    """One pool, as in an application."""
    pool = await create_pool(RedisSettings.from_dsn(URL), **SERIALIZER)
    pools.append(pool)
    try:
        yield
    finally:
        await pool.aclose()


async def enqueue_one(n: int) -> None:
    """One job."""
    await pools[0].enqueue_job("noop", *payload(n))


async def enqueue_many(first: int, count: int) -> None:
    """All at once over the pool."""
    await _many("noop", first, count)


async def enqueue_nap(n: int) -> None:
    """One job that waits."""
    await pools[0].enqueue_job("nap", *payload(n))


async def enqueue_naps(first: int, count: int) -> None:
    """Many jobs that wait."""
    await _many("nap", first, count)


async def enqueue_stamp(sent_ns: int) -> None:
    """One job that tells when it started."""
    await pools[0].enqueue_job("stamp", sent_ns)


async def states() -> int:
    """Results that are kept."""
    results = await pools[0].all_job_results()
    return sum(result.success for result in results)


def worker_argv(concurrency: int, variant: str) -> list[str]:
    """Its command line, by way of `env`: the rest is read from WorkerSettings."""
    del variant
    words = ("bench.contenders.arq.WorkerSettings", "--custom-log-dict", "bench.contenders.arq.LOGS")
    return ["/usr/bin/env", f"BENCH_CONCURRENCY={concurrency}", *command.program("arq", *words)]


async def _many(function: str, first: int, count: int) -> None:
    await asyncio.gather(*(pools[0].enqueue_job(function, *payload(n)) for n in range(first, first + count)))


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
