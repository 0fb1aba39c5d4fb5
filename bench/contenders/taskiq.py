"""Taskiq: jobs in a Redis stream with a consumer group, results in keys."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvloop
from redis.asyncio import Redis
from taskiq import AsyncTaskiqDecoratedTask
from taskiq.serializers import ORJSONSerializer
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

from bench import tally
from bench.contenders import command
from bench.contenders.command import Contender, payload

URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379")
CONTENDER = Contender(
    title="Taskiq",
    packages=("taskiq", "taskiq-redis", "redis"),
    note=(
        "RedisStreamBroker, 100 at a time, acknowledged when the result is saved; orjson, --no-parse, "
        "uvloop; logs of warnings only; bulk by gather, 50 at a time"
    ),
    acknowledges=True,
    keeps_result=True,
    concurrency=100,
)
TOGETHER = 50

broker = (
    RedisStreamBroker(URL)
    .with_result_backend(RedisAsyncResultBackend(URL, result_ex_time=3600, serializer=ORJSONSerializer()))
    .with_serializer(ORJSONSerializer())
)


@broker.task(task_name="noop")
async def noop(parcel_id: str, sku: str, note: str) -> dict[str, str]:
    """No work at all."""
    del parcel_id, note
    tally.hit()
    return {"taken": sku}


@broker.task(task_name="nap")
async def nap(parcel_id: str, sku: str, note: str) -> dict[str, str]:
    """Wait, as for an answer from elsewhere."""
    del parcel_id, note
    await asyncio.sleep(command.NAP_S)
    tally.hit()
    return {"taken": sku}


@broker.task(task_name="stamp")
async def stamp(sent_ns: int) -> None:
    """Tell how long ago this was sent."""
    tally.latency(time.time_ns() - sent_ns)


@asynccontextmanager
async def opened() -> AsyncIterator[None]:
    """The broker's connections, and its consumer group before the first job."""
    await broker.startup()
    try:
        yield
    finally:
        await broker.shutdown()


async def enqueue_one(n: int) -> None:
    """One job."""
    await noop.kiq(*payload(n))


async def enqueue_many(first: int, count: int) -> None:
    """Many over the pool."""
    await _many(noop, first, count)


async def enqueue_nap(n: int) -> None:
    """One job that waits."""
    await nap.kiq(*payload(n))


async def enqueue_naps(first: int, count: int) -> None:
    """Many jobs that wait."""
    await _many(nap, first, count)


async def enqueue_stamp(sent_ns: int) -> None:
    """One job that tells when it started."""
    await stamp.kiq(sent_ns)


async def states() -> int:
    """Results in the backend: keys named by nothing but the task's id."""
    async with (
        Redis(connection_pool=broker.connection_pool) as redis,
        redis.pipeline(transaction=False) as pipe,
    ):
        async for key in redis.scan_iter(count=5000, _type="string"):
            pipe.get(key)
        return sum(b'"is_err":false' in result for result in await pipe.execute())


def worker_argv(concurrency: int, variant: str) -> list[str]:
    """Its command line; the one worker process is a child of its manager."""
    del variant
    return command.program(
        "taskiq", "worker", "bench.contenders.taskiq:broker",
        "--workers", "1", "--max-async-tasks", str(concurrency), "--no-parse", "--log-level", "WARNING",
    )  # fmt: skip


async def _many(task: AsyncTaskiqDecoratedTask, first: int, count: int) -> None:
    """50 at a time: with a connection for each of 500 it takes thrice as long."""
    for start in range(first, first + count, TOGETHER):
        ends = min(start + TOGETHER, first + count)
        await asyncio.gather(*(task.kiq(*payload(n)) for n in range(start, ends)))


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
