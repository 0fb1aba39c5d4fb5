"""The address of a NATS server in, a connection out that comes by itself and comes back by itself."""

import asyncio
from contextlib import suppress

import nats
import nats.errors
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.errors import Error as JetStreamError

from shared.settings import Secret
from shared.telemetry import get_logger

UNAVAILABLE = (nats.errors.Error, JetStreamError, OSError, TimeoutError)
"""What a call raises when NATS is away, restarting, or its stream is full."""

_RECONNECT_S = 0.5
_TIMEOUT_S = 5


class NatsConnection:
    """`open` returns at once; until the server is there, `jetstream` is None and nobody is stopped."""

    def __init__(self, url: Secret, *, name: str) -> None:
        self._url = url
        self._name = name
        self._client: Client | None = None
        self._jetstream: JetStreamContext | None = None
        self._opening: asyncio.Task[None] | None = None
        self.generation = 0
        """Counts the times that the connection was made; what was asked on an older one is forgotten."""
        self._log = get_logger()

    @property
    def client(self) -> Client | None:
        """The connection while it stands, None otherwise."""
        return self._client if self._client is not None and self._client.is_connected else None

    @property
    def jetstream(self) -> JetStreamContext | None:
        """JetStream while the connection stands, None otherwise."""
        return self._jetstream if self.client is not None else None

    async def open(self) -> None:
        """Begin to connect, and wait for it a moment."""
        self._opening = asyncio.create_task(self._open())
        await asyncio.wait([self._opening], timeout=_TIMEOUT_S)

    async def close(self) -> None:
        """Send what is written and end the connection."""
        if self._opening is not None:
            self._opening.cancel()
        if self._client is not None:
            with suppress(*UNAVAILABLE):
                await self._client.flush(timeout=_TIMEOUT_S)
            # Not drain(): it waits for messages that were fetched and never taken off their queue.
            with suppress(*UNAVAILABLE):
                await self._client.close()

    async def _open(self) -> None:
        backoff = 0.1
        while True:
            try:
                self._client = await nats.connect(
                    self._url.get_secret_value(),
                    name=self._name,
                    connect_timeout=_TIMEOUT_S,
                    # nats-py gives up for ever after this many; -1 is never.
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=_RECONNECT_S,
                    allow_reconnect=True,
                    error_cb=self._on_error,
                    reconnected_cb=self._on_reconnect,
                )
            except UNAVAILABLE as error:
                self._log.warning("bus.unavailable", bus="nats", error=repr(error), retry_in_s=backoff)
                await asyncio.sleep(backoff)
                backoff = min(backoff * 2, 2.0)
            else:
                self._jetstream = self._client.jetstream(timeout=_TIMEOUT_S, publish_async_max_pending=10_000)
                return

    async def _on_reconnect(self) -> None:
        self.generation += 1
        self._log.info("bus.reconnected", bus="nats")

    async def _on_error(self, error: Exception) -> None:
        self._log.warning("bus.error", bus="nats", error=repr(error))
