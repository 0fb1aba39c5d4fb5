"""Events in, on the buses of their routes out: batched, traced, each id once."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager

import nats.errors

from shared.bus.jetstream import NatsConnection, NatsPublisher
from shared.bus.jetstream.wire import subject_of
from shared.bus.redis_streams import UNAVAILABLE, RedisClient, RedisPublisher, connect
from shared.bus.redis_streams.wire import stream_of
from shared.bus.routes import BusName, Routes
from shared.contracts import Envelope
from shared.errors import BusUnavailable
from shared.settings import Settings
from shared.telemetry import Message, Metrics, Tracing

_BATCH = 500
_CHANNEL_OF: dict[BusName, Callable[[str], str]] = {"redis": stream_of, "nats": subject_of}

Publisher = RedisPublisher | NatsPublisher


class Bus:
    """Publishes envelopes; `open` one for a process."""

    def __init__(
        self,
        routes: Routes,
        publishers: dict[BusName, Publisher],
        *,
        tracing: Tracing,
        metrics: Metrics,
        redis: RedisClient | None,
        nats: NatsConnection | None,
    ) -> None:
        self.routes = routes
        self._publishers = publishers
        self._tracing = tracing
        self._metrics = metrics
        self._redis = redis
        self._nats = nats

    @classmethod
    @asynccontextmanager
    async def open(
        cls, settings: Settings, *, tracing: Tracing, metrics: Metrics, name: str = "trunkline"
    ) -> AsyncGenerator["Bus"]:
        """A bus with connections of its own, which come back by themselves when they break."""
        routes = Routes.parse(settings.bus_routes, settings.buses)
        publishers: dict[BusName, Publisher] = {}
        redis: RedisClient | None = None
        nats_connection: NatsConnection | None = None
        if "redis" in routes.enabled:
            redis = connect(settings.redis_url, retries=0)
            publishers["redis"] = RedisPublisher(
                redis, window=settings.dedupe_window, keep=settings.event_ttl
            )
        if "nats" in routes.enabled:
            nats_connection = NatsConnection(settings.nats_url, name=f"{name}-publisher")
            await nats_connection.open()
            publishers["nats"] = NatsPublisher(nats_connection, window=settings.dedupe_window)
        try:
            yield cls(routes, publishers, tracing=tracing, metrics=metrics, redis=redis, nats=nats_connection)
        finally:
            if redis is not None:
                await redis.aclose()
            if nats_connection is not None:
                await nats_connection.close()

    async def publish(self, envelopes: Sequence[Envelope]) -> set[str]:
        """The ids that are on every bus of their route for certain; publish the others again, as they are."""
        if len(envelopes) > _BATCH:
            parts = [envelopes[at : at + _BATCH] for at in range(0, len(envelopes), _BATCH)]
            return set().union(*[await self.publish(part) for part in parts])
        batches: dict[BusName, list[Envelope]] = {}
        for envelope in envelopes:
            for bus in self.routes.buses_for(envelope.type):
                batches.setdefault(bus, []).append(envelope)
        published = await asyncio.gather(*(self._publish(bus, batch) for bus, batch in batches.items()))
        missing = {
            envelope.id
            for batch, there in zip(batches.values(), published, strict=True)
            for envelope in batch
            if envelope.id not in there
        }
        return {envelope.id for envelope in envelopes} - missing

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

    async def _publish(self, bus: BusName, batch: list[Envelope]) -> set[str]:
        types = {envelope.type for envelope in batch}
        destination = _CHANNEL_OF[bus](types.pop() if len(types) == 1 else "*")
        with self._tracing.send(
            bus, destination, [Message(envelope.id, envelope.traceparent) for envelope in batch]
        ):
            published = await self._publishers[bus].publish(batch)
        self._metrics.messages_sent(bus, destination, len(published))
        return published
