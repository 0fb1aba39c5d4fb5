"""Envelopes in, entries of their streams out; each id once within the window."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta

from msgpack import Packer

from shared.bus.availability import Availability
from shared.bus.redis_streams import wire
from shared.bus.redis_streams.client import UNAVAILABLE, RedisClient, script
from shared.contracts import Envelope
from shared.telemetry import get_logger

# Redis's msgpack knows text and bytes as one raw type only.
_pack = Packer(use_bin_type=False).pack


class RedisPublisher:
    """Publishes to Redis Streams; the marks make a repeated call harmless."""

    def __init__(self, client: RedisClient, *, window: timedelta, keep: timedelta) -> None:
        self._publish = script(client, "shared.bus.redis_streams", "publish")
        self._window_ms = round(window.total_seconds() * 1000)
        self._keep_ms = round(keep.total_seconds() * 1000)
        self._availability = Availability(get_logger(), "bus.redis")

    async def publish(self, envelopes: Sequence[Envelope]) -> dict[str, str]:
        """The places of those that are on their stream for certain; one call for each stream at once."""
        by_stream: defaultdict[str, list[Envelope]] = defaultdict(list)
        for envelope in envelopes:
            by_stream[wire.stream_of(envelope.type)].append(envelope)
        if len(by_stream) == 1:  # as a rule; a task for it alone would cost as much as the rest
            ((stream, batch),) = by_stream.items()
            return await self._add(stream, batch)
        added = await asyncio.gather(*(self._add(stream, batch) for stream, batch in by_stream.items()))
        return {id_: place for part in added for id_, place in part.items()}

    async def _add(self, stream: str, batch: list[Envelope]) -> dict[str, str]:
        marks = [f"dd:{{{stream}}}:{envelope.id}" for envelope in batch]
        fields = [_pack(wire.encode(envelope)) for envelope in batch]
        try:
            entries = await self._publish([stream, *marks], [self._window_ms, self._keep_ms, *fields])
        except UNAVAILABLE as error:
            self._availability.lost(error)
            return {}
        self._availability.back()
        stem = f"redis:{stream} "
        return {envelope.id: stem + entry.decode() for envelope, entry in zip(batch, entries, strict=True)}
