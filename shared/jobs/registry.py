"""Who handles what, and who is alive: workers announce themselves in Redis, anybody asks."""

import time
from datetime import timedelta
from typing import NamedTuple

import msgspec

from shared.bus.redis_streams import RedisClient
from shared.clock import SystemClock, rfc3339
from shared.jobs import keys
from shared.jobs.handlers import Handler, Isolation
from shared.jobs.limits import Limits


class HandlerRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A handler as the rest of the system knows it."""

    name: str
    service: str
    event_type: str
    max_attempts: int
    concurrency: int
    time_limit_s: float
    version: str
    description: str
    registered_at: str
    isolation: Isolation = "loop"
    total_concurrency: int | None = None
    rate: float | None = None
    causes: tuple[str, ...] = ()
    """The types of the events that it can cause, as far as its code says so."""

    @property
    def limits(self) -> Limits:
        """What the code allows; an operator may say otherwise while it runs."""
        return Limits(worker_concurrency=self.concurrency, concurrency=self.total_concurrency, rate=self.rate)


class WorkerRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A process that works on jobs; gone when it is silent for a lease."""

    id: str
    service: str
    version: str
    handlers: list[str]
    host: str
    pid: int
    started_at: str
    places: dict[str, int] = {}
    """How many jobs of each handler it runs at a time, by its code."""


class Lease(NamedTuple):
    """A worker that is alive, and how long it may be silent until it counts as dead."""

    worker: WorkerRecord
    left: timedelta


_handler = msgspec.json.Decoder(HandlerRecord)
_worker = msgspec.json.Decoder(WorkerRecord)


class Registry:
    """The handlers and workers of the whole system."""

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis

    async def announce(self, handlers: list[Handler], worker: WorkerRecord, *, lease: timedelta) -> None:
        """Enter the handlers, and the worker until `lease` from now; call it again before that ends."""
        lease_ms = round(lease.total_seconds() * 1000)
        now_ms = time.time_ns() // 1_000_000
        pipe = self._redis.pipeline(transaction=False)
        pipe.hset(
            keys.HANDLERS,
            mapping={handler.name: msgspec.json.encode(_record(handler, worker)) for handler in handlers},
        )
        pipe.set(keys.worker(worker.id), msgspec.json.encode(worker), px=lease_ms)
        pipe.zadd(keys.SEEN, {handler.name: now_ms for handler in handlers})
        pipe.zadd(keys.WORKERS, {worker.id: now_ms + lease_ms})
        pipe.zremrangebyscore(keys.WORKERS, 0, now_ms - 24 * 3600 * 1000)
        await pipe.execute()

    async def leave(self, worker_id: str) -> None:
        """Take the worker out; its handlers stay, for others may run them later."""
        pipe = self._redis.pipeline(transaction=False)
        pipe.delete(keys.worker(worker_id))
        pipe.zrem(keys.WORKERS, worker_id)
        await pipe.execute()

    async def handlers(self) -> dict[str, HandlerRecord]:
        """Every handler that ever announced itself, by name."""
        found = await self._redis.hgetall(keys.HANDLERS)
        records = (_handler.decode(value) for value in found.values())
        return {record.name: record for record in sorted(records, key=lambda record: record.name)}

    async def workers(self) -> list[WorkerRecord]:
        """The workers that are alive."""
        return [lease.worker for lease in await self.leases()]

    async def leases(self) -> list[Lease]:
        """The workers that are alive, and until when they are."""
        now_ms = time.time_ns() // 1_000_000
        ends_ms = await self._redis.zrangebyscore(keys.WORKERS, now_ms, "+inf", withscores=True)
        if not ends_ms:
            return []
        values = await self._redis.mget([keys.worker(id_.decode()) for id_, _ in ends_ms])
        return [
            Lease(_worker.decode(value), timedelta(milliseconds=end_ms - now_ms))
            for value, (_, end_ms) in zip(values, ends_ms, strict=True)
            if value is not None
        ]


def _record(handler: Handler, worker: WorkerRecord) -> HandlerRecord:
    return HandlerRecord(
        name=handler.name,
        service=handler.service,
        event_type=handler.event_type,
        max_attempts=handler.retry.attempts,
        concurrency=handler.concurrency,
        time_limit_s=handler.time_limit.total_seconds(),
        version=worker.version,
        description=(handler.function.__doc__ or "").partition("\n")[0],
        registered_at=worker.started_at,
        total_concurrency=handler.total_concurrency,
        rate=handler.rate,
        isolation=handler.isolation,
        causes=handler.causes,
    )


def started_at() -> str:
    """The present instant as records write it."""
    return rfc3339(SystemClock().now())
