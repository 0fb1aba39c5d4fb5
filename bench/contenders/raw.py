"""What both floors share: jobs on one Redis stream, read in batches by one loop, with no framework at all."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import redis.asyncio as aioredis
from redis.exceptions import ResponseError

from bench import tally
from bench.contenders.command import NAP_S, payload

STREAM, GROUP = "bench", "workers"
BATCH = 256

Entry = tuple[bytes, dict[bytes, bytes]]
Settle = Callable[[list[tuple[Entry, bytes]]], Awaitable[None]]
"""Acknowledges entries with their results."""


class Raw:
    """A connection and what is enqueued over it."""

    redis: Any

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[None]:
        """Connect to REDIS_URL."""
        self.redis = aioredis.Redis.from_url(os.environ["REDIS_URL"])
        try:
            yield
        finally:
            await self.redis.aclose()

    async def prepare(self) -> None:
        """Make the stream and its group."""
        try:
            await self.redis.xgroup_create(STREAM, GROUP, "0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    async def one(self, n: int) -> None:
        """One job that does nothing."""
        await self.redis.xadd(STREAM, _fields("noop", n))

    async def nap(self, n: int) -> None:
        """One job that awaits."""
        await self.redis.xadd(STREAM, _fields("nap", n))

    async def stamp(self, sent_ns: int) -> None:
        """One job that tells when it was sent."""
        await self.redis.xadd(STREAM, {"task": "stamp", "data": msgspec.json.encode({"sent_ns": sent_ns})})

    async def many(self, first: int, count: int) -> None:
        """Jobs in one pipeline."""
        await self._many("noop", first, count)

    async def naps(self, first: int, count: int) -> None:
        """Jobs that await, in one pipeline."""
        await self._many("nap", first, count)

    async def _many(self, task: str, first: int, count: int) -> None:
        pipe = self.redis.pipeline(transaction=False)
        for n in range(first, first + count):
            pipe.xadd(STREAM, _fields(task, n))
        await pipe.execute()


async def work(raw: Raw, claim: Callable[[list[Entry]], Awaitable[None]] | None, settle: Settle) -> None:
    """Read and run until SIGTERM: up to BATCH jobs at once, those that have ended settled together.

    A job that awaits holds back nobody else: what has ended is settled while the others go on.
    """
    running: set[asyncio.Task[None]] = set()
    ended: list[tuple[Entry, bytes]] = []
    has_ended, stopping = asyncio.Event(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)

    async def nap(entry: Entry) -> None:
        data = msgspec.json.decode(entry[1][b"data"])
        await asyncio.sleep(NAP_S)
        ended.append((entry, msgspec.json.encode(await _noop(**data))))
        has_ended.set()

    async with raw.opened():
        await raw.prepare()
        while running or not stopping.is_set():
            entries = [] if stopping.is_set() else await _read(raw, BATCH - len(running), wait=not running)
            if claim and entries:
                await claim(entries)
            for entry in entries:
                if entry[1][b"task"] == b"nap":
                    task = asyncio.create_task(nap(entry))
                    running.add(task)
                    task.add_done_callback(running.discard)
                else:
                    ended.append((entry, await _run(entry)))
            if running and not ended:
                has_ended.clear()
                await has_ended.wait()
            if ended:
                batch = ended.copy()
                ended.clear()
                await settle(batch)


async def _read(raw: Raw, count: int, *, wait: bool) -> list[Entry]:
    if not count:
        return []
    read = await raw.redis.xreadgroup(
        GROUP, f"{os.getpid()}", {STREAM: ">"}, count=count, block=1_000 if wait else None
    )
    return read[0][1] if read else []


async def _run(entry: Entry) -> bytes:
    data = msgspec.json.decode(entry[1][b"data"])
    if entry[1][b"task"] == b"stamp":
        tally.latency(time.time_ns() - data["sent_ns"])
        return b"null"
    return msgspec.json.encode(await _noop(**data))


async def _noop(parcel_id: str, sku: str, note: str) -> dict[str, str]:
    del parcel_id, note
    tally.hit()
    return {"taken": sku}


def _fields(task: str, n: int) -> dict[Any, Any]:
    parcel_id, sku, note = payload(n)
    data = msgspec.json.encode({"parcel_id": parcel_id, "sku": sku, "note": note})
    return {"task": task, "data": data}
