"""Direct jobs onto their handlers' own queues: a handler's name and data in, the id of the job out.

The queues are in Redis whichever buses are on, since the state of jobs is there too.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from shared import VERSION
from shared.bus.availability import Availability
from shared.bus.direct import UNIQUE_FOR, Order, check_data, data_of, direct_event
from shared.bus.redis_streams import UNAVAILABLE, RedisClient, connect
from shared.bus.redis_streams.queue import RedisQueues, by_handler
from shared.bus.redis_streams.queue_keys import HANDLERS, queue_of
from shared.contracts import HANDLER, UNIQUE_KEY, Envelope, Event
from shared.errors import BusUnavailable, UnknownHandler
from shared.settings import Settings
from shared.telemetry import Message, Metrics, Tracing, get_logger

_REMEMBERED_S = 10.0
_IN_DOUBT_LIMIT_S = 5.0
_IN_DOUBT_PAUSE_S = 0.05


class Enqueued(NamedTuple):
    """The job that stands for what was enqueued."""

    job_id: str
    is_new: bool
    """False when it was there before: the same id again, or another job that has the unique key."""


class _Registered(msgspec.Struct):
    """What is to be known here of a handler's record."""

    event_type: str


class Queues:
    """Enqueues direct jobs; `open` one for a process, or use that of a Bus."""

    def __init__(
        self, redis: RedisClient, settings: Settings, *, source: str, tracing: Tracing, metrics: Metrics
    ) -> None:
        self._redis = redis
        self._queues = RedisQueues(redis, window=settings.dedupe_window)
        self._longest_unique = settings.dead_ttl
        self._source = source
        self._tracing = tracing
        self._metrics = metrics
        self._types: dict[str, tuple[str, float]] = {}
        self._availability = Availability(get_logger(), "bus.redis")

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        settings: Settings,
        *,
        tracing: Tracing | None = None,
        metrics: Metrics | None = None,
        name: str = "trunkline",
    ) -> AsyncGenerator["Queues"]:
        """Queues with a connection of their own; of the settings they need no more than REDIS_URL."""
        redis = connect(settings.redis_url, retries=0)
        try:
            yield cls(
                redis,
                settings,
                source=f"/trunkline/{name}",
                tracing=tracing or Tracing(),
                metrics=metrics or Metrics(service=name, version=VERSION),
            )
        finally:
            await redis.aclose()

    async def enqueue(
        self,
        handler: str,
        data: Event | Mapping[str, Any],
        *,
        deliver_at: datetime | None = None,
        expires_at: datetime | None = None,
        unique_key: str | None = None,
        unique_for: timedelta = UNIQUE_FOR,
        id: str | None = None,  # noqa: A002 - the attribute's own name
    ) -> Enqueued:
        """Enqueue a job for this handler alone (`email.send`); it is on its queue when this returns.

        `data` is an event of the type that the handler works on, or its data. With a `unique_key`, while
        a job with the same key stands, that job's id is returned and nothing is added; a job that ended
        without success gives the key free. Raises UnknownHandler and InvalidData (both ContractError),
        ValueError, and BusUnavailable when Redis does not answer: then repeat the call with the same `id`.
        """
        order = Order(
            id=id,
            deliver_at=deliver_at,
            expires_at=expires_at,
            unique_key=unique_key,
            unique_for=unique_for,
        )
        return await self.add(await self.prepare(handler, data, order))

    async def prepare(self, handler: str, data: Event | Mapping[str, Any], order: Order) -> Envelope:
        """The checked event of the job, which nobody knows of yet.

        UnknownHandler names those that there are; InvalidData points to each fault of the data; ValueError
        for a unique key that is to stand for longer than DEAD_TTL, how long it is known what became of a job.
        """
        if order.unique_key is not None and order.unique_for > self._longest_unique:
            raise ValueError(f"unique_for is {order.unique_for}; it may be {self._longest_unique} (DEAD_TTL)")
        event_type = await self._event_type(handler)
        event = direct_event(handler, event_type, data_of(event_type, data), order, source=self._source)
        check_data(event)
        traceparent = self._tracing.create(event.type, event.id)
        return msgspec.structs.replace(event, attributes={**event.attributes, "traceparent": traceparent})

    async def add(self, event: Envelope) -> Enqueued:
        """Put the prepared job onto its queue, unless another has its unique key. May be repeated.

        BusUnavailable when Redis does not answer: the job may be there, or not.
        """
        ends_at = time.monotonic() + _IN_DOUBT_LIMIT_S
        handler = event.attributes[HANDLER]
        with self._span(handler, [event]):
            while True:
                try:
                    placed = await self._queues.enqueue(event)
                except UNAVAILABLE as error:
                    raise BusUnavailable(
                        f"redis does not answer: {error}; enqueue the job again with id={event.id!r}"
                    ) from error
                if placed.holder.is_certain:
                    break
                if time.monotonic() > ends_at:
                    raise BusUnavailable(
                        f"the unique key {event.attributes[UNIQUE_KEY]!r} is reserved by a request that does "
                        "not end; try again"
                    )
                await asyncio.sleep(_IN_DOUBT_PAUSE_S)
        if placed.is_new:
            self._metrics.messages_sent("redis", queue_of(handler))
        return Enqueued(f"{handler}:{placed.holder.event_id}", placed.is_new)

    async def publish(self, events: Sequence[Envelope]) -> dict[str, str]:
        """Where each direct job lies that is on its queue for certain; publish the others again."""
        there: dict[str, str] = {}
        for handler, jobs in by_handler(events).items():
            with self._span(handler, jobs):
                try:
                    places = await self._queues.publish(handler, jobs)
                except UNAVAILABLE as error:
                    self._availability.lost(error)
                    continue
            self._availability.back()
            self._metrics.messages_sent("redis", queue_of(handler), len(jobs))
            there |= places
        return there

    def _span(self, handler: str, jobs: Sequence[Envelope]) -> Any:
        return self._tracing.send(
            "redis", queue_of(handler), [Message(job.id, job.traceparent) for job in jobs]
        )

    async def _event_type(self, handler: str) -> str:
        """The type of event that the handler works on; remembered, also for a Redis that came back empty."""
        known = self._types.get(handler)
        if known is not None and time.monotonic() - known[1] < _REMEMBERED_S:
            return known[0]
        try:
            record = await self._redis.hget(HANDLERS, handler)
            names = [] if record or known else await self._redis.hkeys(HANDLERS)
        except UNAVAILABLE as error:
            raise BusUnavailable(f"redis does not answer: {error}") from error
        if record is not None:
            known = (msgspec.json.decode(record, type=_Registered).event_type, time.monotonic())
            self._types[handler] = known
        elif known is None:
            raise UnknownHandler(handler, sorted(name.decode() for name in names))
        return known[0]
