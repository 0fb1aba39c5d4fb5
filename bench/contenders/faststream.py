"""Stock FastStream: a stream subscriber as in its manual, and a status that its handler writes itself."""

import asyncio
import json
import logging
import os
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import uvloop
from faststream import FastStream
from faststream.redis import RedisBroker, StreamSub
from pydantic import BaseModel
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from bench import tally
from bench.contenders import command
from bench.contenders.command import Contender, payload

URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379")
CONCURRENCY = int(os.environ.get("BENCH_CONCURRENCY", "1"))
CONTENDER = Contender(
    title="FastStream",
    packages=("faststream", "redis"),
    note=(
        "stock stream subscriber that reads 100 at a time, one job after the other where nothing is awaited, "
        "else max_workers; HSET of the status before and of the result after; uvloop; logs of warnings only; "
        "bulk by publish(pipeline=...)"
    ),
    acknowledges=True,
    keeps_result=True,
    concurrency=1,
)
GROUP = "bench"
STREAMS = ("bench.noop", "bench.nap", "bench.stamp")
KEPT_S = 3600


class Parcel(BaseModel):
    """A job."""

    parcel_id: str
    sku: str
    note: str


class Stamp(BaseModel):
    """When a job was sent."""

    sent_ns: int


logger = logging.getLogger("bench")  # at WARNING: not two lines for each message
broker = RedisBroker(URL, logger=logger, max_connections=2 * CONCURRENCY + 128)
app = FastStream(broker)
statuses = Redis.from_url(URL, max_connections=CONCURRENCY + 128)
clients: list[Redis] = []


def _stream(name: str) -> StreamSub:
    return StreamSub(name, group=GROUP, consumer=f"{socket.gethostname()}-{os.getpid()}", max_records=100)


@broker.subscriber(stream=_stream("bench.noop"), max_workers=CONCURRENCY)
async def noop(parcel: Parcel) -> None:
    """No work at all."""
    await _running(parcel)
    tally.hit()
    await _succeeded(parcel)


@broker.subscriber(stream=_stream("bench.nap"), max_workers=CONCURRENCY)
async def nap(parcel: Parcel) -> None:
    """Wait, as for an answer from elsewhere."""
    await _running(parcel)
    await asyncio.sleep(command.NAP_S)
    tally.hit()
    await _succeeded(parcel)


@broker.subscriber(stream=_stream("bench.stamp"))
async def stamp(sent: Stamp) -> None:
    """Tell how long ago this was sent."""
    tally.latency(time.time_ns() - sent.sent_ns)


async def _running(parcel: Parcel) -> None:
    await statuses.hset(f"job:{parcel.parcel_id}", mapping={"status": "running", "started_at": time.time()})


async def _succeeded(parcel: Parcel) -> None:
    async with statuses.pipeline(transaction=False) as pipe:
        pipe.hset(
            f"job:{parcel.parcel_id}",
            mapping={"status": "succeeded", "result": json.dumps({"taken": parcel.sku})},
        )
        pipe.expire(f"job:{parcel.parcel_id}", KEPT_S)
        await pipe.execute()


@asynccontextmanager
async def opened() -> AsyncIterator[None]:
    """The broker's connections; nothing is consumed here."""
    clients.append(await broker.connect())
    try:
        yield
    finally:
        await broker.stop()
        await statuses.aclose()


async def prepare() -> None:
    """Its groups begin at the end of a stream: what was published before the first start would be skipped."""
    for stream in STREAMS:
        with suppress(ResponseError):
            await statuses.xgroup_create(stream, GROUP, id="0", mkstream=True)


async def enqueue_one(n: int) -> None:
    """One job."""
    await broker.publish(_parcel(n), stream="bench.noop")


async def enqueue_many(first: int, count: int) -> None:
    """A pipeline."""
    await _many("bench.noop", first, count)


async def enqueue_nap(n: int) -> None:
    """One job that waits."""
    await broker.publish(_parcel(n), stream="bench.nap")


async def enqueue_naps(first: int, count: int) -> None:
    """A pipeline of jobs that wait."""
    await _many("bench.nap", first, count)


async def enqueue_stamp(sent_ns: int) -> None:
    """One job that tells when it started."""
    await broker.publish(Stamp(sent_ns=sent_ns), stream="bench.stamp")


async def states() -> int:
    """Jobs whose status is succeeded."""
    async with statuses.pipeline(transaction=False) as pipe:
        async for key in statuses.scan_iter("job:*", count=5000):
            pipe.hget(key, "status")
        return sum(status == b"succeeded" for status in await pipe.execute())


def worker_argv(concurrency: int, variant: str) -> list[str]:
    """Its command line, by way of `env`: max_workers is read in this module."""
    del variant
    return [
        "/usr/bin/env", f"BENCH_CONCURRENCY={concurrency}",
        *command.program("faststream", "run", "bench.contenders.faststream:app"),
    ]  # fmt: skip


def _parcel(n: int) -> Parcel:
    parcel_id, sku, note = payload(n)
    return Parcel(parcel_id=parcel_id, sku=sku, note=note)


async def _many(stream: str, first: int, count: int) -> None:
    async with clients[0].pipeline(transaction=False) as pipe:
        for n in range(first, first + count):
            await broker.publish(_parcel(n), stream=stream, pipeline=pipe)
        await pipe.execute()


if __name__ == "__main__":
    command.main(
        CONTENDER,
        enqueue_one=enqueue_one,
        enqueue_many=enqueue_many,
        enqueue_nap=enqueue_nap,
        enqueue_naps=enqueue_naps,
        enqueue_stamp=enqueue_stamp,
        worker_argv=worker_argv,
        prepare=prepare,
        states=states,
        opened=opened,
        run=uvloop.run,
    )
