"""Events in, on the buses of their routes out: batched, traced, each id once."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import nats.errors

from shared import VERSION
from shared.bus.direct import UNIQUE_FOR
from shared.bus.jetstream import NatsConnection, NatsPublisher
from shared.bus.jetstream.lookup import NatsLookup
from shared.bus.jetstream.wire import subject_of
from shared.bus.places import Places, join
from shared.bus.queues import Enqueued, Queues
from shared.bus.redis_streams import UNAVAILABLE, RedisClient, RedisPublisher, connect
from shared.bus.redis_streams.lookup import RedisLookup
from shared.bus.redis_streams.wire import stream_of
from shared.bus.routes import BusName, Routes
from shared.contracts import HANDLER, Envelope, Event
from shared.errors import BusUnavailable
from shared.settings import Settings
from shared.telemetry import Message, Metrics, Tracing

_BATCH = 500
_CHANNEL_OF: dict[BusName, Callable[[str], str]] = {"redis": stream_of, "nats": subject_of}

Publisher = RedisPublisher | NatsPublisher


class Bus:
    """Publishes envelopes, and enqueues jobs for single handlers; `open` one for a process."""

    def __init__(
        self,
        routes: Routes,
        publishers: dict[BusName, Publisher],
        queues: Queues,
        *,
        tracing: Tracing,
        metrics: Metrics,
        places: Places,
        redis: RedisClient | None,
        nats: NatsConnection | None,
    ) -> None:
        self.routes = routes
        self._publishers = publishers
        self._queues = queues
        self._tracing = tracing
        self._metrics = metrics
        self._redis = redis
        self._nats = nats
        self.places = places
        """Looks up where published events lie."""

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        settings: Settings,
        *,
        tracing: Tracing | None = None,
        metrics: Metrics | None = None,
        name: str = "trunkline",
    ) -> AsyncGenerator["Bus"]:
        """A bus with connections of its own, which come back by themselves when they break.

        A script needs no more than `async with Bus.open(Settings.load()) as bus:`.
        """
        routes = Routes.parse(settings.bus_routes, settings.buses)
        tracing, metrics = tracing or Tracing(), metrics or Metrics(service=name, version=VERSION)
        publishers: dict[BusName, Publisher] = {}
        nats_connection: NatsConnection | None = None
        async with AsyncExitStack() as stack:
            # Also where no event travels over it: the state of jobs and their queues are there.
            redis = connect(settings.redis_url, retries=0)
            stack.push_async_callback(redis.aclose)
            if "redis" in routes.enabled:
                publishers["redis"] = RedisPublisher(
                    redis, window=settings.dedupe_window, keep=settings.event_ttl
                )
            if "nats" in routes.enabled:
                nats_connection = NatsConnection(settings.nats_url, name=f"{name}-publisher")
                await nats_connection.open()
                stack.push_async_callback(nats_connection.close)
                publishers["nats"] = NatsPublisher(nats_connection, window=settings.dedupe_window)
            yield cls(
                routes,
                publishers,
                Queues(redis, settings, source=f"/trunkline/{name}", tracing=tracing, metrics=metrics),
                tracing=tracing,
                metrics=metrics,
                # The queues of direct jobs are on Redis whichever buses are on.
                places=Places(RedisLookup(redis), NatsLookup(nats_connection) if nats_connection else None),
                redis=redis if "redis" in routes.enabled else None,
                nats=nats_connection,
            )

    @property
    def nats(self) -> NatsConnection | None:
        """The connection to NATS; None when that bus is off."""
        return self._nats

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
        """Enqueue a job for this handler alone, as Queues.enqueue does."""
        return await self._queues.enqueue(
            handler,
            data,
            deliver_at=deliver_at,
            expires_at=expires_at,
            unique_key=unique_key,
            unique_for=unique_for,
            id=id,
        )

    async def publish(self, envelopes: Sequence[Envelope]) -> dict[str, str]:
        """Where each id lies that is on every bus of its route for certain (shared/bus/places.py).

        Publish the others again, as they are. An event for one handler (extension `handler`) goes onto that
        handler's queue instead.
        """
        if len(envelopes) > _BATCH:
            parts = [envelopes[at : at + _BATCH] for at in range(0, len(envelopes), _BATCH)]
            return {id_: place for part in parts for id_, place in (await self.publish(part)).items()}
        batches: dict[BusName, list[Envelope]] = {}
        direct: list[Envelope] = []
        for envelope in envelopes:
            if HANDLER in envelope.attributes:
                direct.append(envelope)
                continue
            for bus in self.routes.buses_for(envelope.type):
                batches.setdefault(bus, []).append(envelope)
        queued = await self._queues.publish(direct) if direct else {}
        if len(batches) == 1:  # as a rule; a task for it alone would cost as much as the rest
            ((bus, batch),) = batches.items()
            return queued | await self._publish(bus, batch)
        published = await asyncio.gather(*(self._publish(bus, batch) for bus, batch in batches.items()))
        return queued | _on_all(batches, dict(zip(batches, published, strict=True)))

    async def check(self) -> None:
        """Return when every bus that is on answers; BusUnavailable names the one that does not."""
        if self._redis is not None:
            try:
                await self._redis.ping()
            except UNAVAILABLE as error:
                raise BusUnavailable(f"redis does not answer: {error}") from error
        if self._nats is not None:
            client = self._nats.client
            if client is None:
                raise BusUnavailable("nats is not connected")
            try:
                await client.flush(timeout=1)
            except (nats.errors.Error, OSError, TimeoutError) as error:
                raise BusUnavailable(f"nats does not answer: {error!r}") from error

    async def _publish(self, bus: BusName, batch: list[Envelope]) -> dict[str, str]:
        types = {envelope.type for envelope in batch}
        destination = _CHANNEL_OF[bus](types.pop() if len(types) == 1 else "*")
        with self._tracing.send(
            bus, destination, [Message(envelope.id, envelope.traceparent) for envelope in batch]
        ):
            published = await self._publishers[bus].publish(batch)
        self._metrics.messages_sent(bus, destination, len(published))
        return published


def _on_all(
    batches: Mapping[BusName, Sequence[Envelope]], published: Mapping[BusName, dict[str, str]]
) -> dict[str, str]:
    """The places of those that every bus of their route has."""
    places: dict[str, str] = {}
    missing: set[str] = set()
    for bus, batch in batches.items():
        there = published[bus]
        for envelope in batch:
            place = there.get(envelope.id)
            if place is None:
                missing.add(envelope.id)
            else:
                before = places.get(envelope.id)
                places[envelope.id] = join(before, place) if before else place
    for id_ in missing & places.keys():
        del places[id_]
    return places
