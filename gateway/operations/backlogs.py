"""Handlers in, what lies on every bus for them out; a bus that does not answer is named, not guessed."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from shared.bus import Backlog, together
from shared.bus.jetstream import UNAVAILABLE as NATS_UNAVAILABLE
from shared.bus.jetstream import NatsConnection, backlog
from shared.bus.redis_streams import RedisClient, backlogs
from shared.bus.redis_streams.wire import stream_of
from shared.jobs import HandlerRecord, keys

_LIMIT: Final = timedelta(seconds=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerBacklog:
    """What lies on the buses for one handler."""

    redis: Backlog
    """On the stream of its event type and in its own queue."""
    nats: Backlog | None
    """None when NATS does not answer; nothing where it is not in use."""

    @property
    def all(self) -> Backlog | None:
        """On all buses together; None when one of them does not answer."""
        return together([self.redis, self.nats]) if self.nats is not None else None


class Backlogs:
    """Asks Redis and, where it is in use, NATS. Raises what Redis raises when it is away."""

    def __init__(self, redis: RedisClient, nats: NatsConnection | None) -> None:
        self._redis = redis
        self._nats = nats

    async def of(self, handlers: Sequence[HandlerRecord]) -> list[HandlerBacklog]:
        """The handlers' backlogs, in this order."""
        groups = [
            (stream, handler.name)
            for handler in handlers
            for stream in (stream_of(handler.event_type), keys.queue(handler.name))
        ]
        on_redis, on_nats = await asyncio.gather(backlogs(self._redis, groups), self._on_nats(handlers))
        return [
            HandlerBacklog(redis=together(on_redis[2 * at : 2 * at + 2]), nats=on_nats[at])
            for at in range(len(handlers))
        ]

    async def _on_nats(self, handlers: Sequence[HandlerRecord]) -> Sequence[Backlog | None]:
        connection = self._nats
        if connection is None:
            return [Backlog()] * len(handlers)
        try:
            async with asyncio.timeout(_LIMIT.total_seconds()):
                asked = (backlog(connection, handler.name, handler.event_type) for handler in handlers)
                return await asyncio.gather(*asked)
        except NATS_UNAVAILABLE:
            return [None] * len(handlers)
