"""The address of a NATS server in, a connection out that comes by itself and comes back by itself."""

import asyncio
from contextlib import suppress

import nats
import nats.errors
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.errors import Error as JetStreamError

from shared.bus.availability import Availability
from shared.settings import Secret
from shared.telemetry import get_logger

UNAVAILABLE = (nats.errors.Error, JetStreamError, OSError, TimeoutError)
"""What a call raises when NATS is away, restarting, or its stream is full."""

_RECONNECT_S = 0.5
_TIMEOUT_S = 5
_OPEN_WAIT_S = 2.0


class NatsConnection:
    """`open` returns at once; until the server is there, `jetstream` is None and nobody is stopped."""

    def __init__(self, url: Secret, *, name: str) -> None:
        self._url = url
        self._name = name
        self._client: Client | None = None
        self._jetstream: JetStreamContext | None = None
        self._opening: asyncio.Task[None] | None = None
        self._is_closing = False
        self.generation = 0
        """Counts the times that the connection was made; what was asked on an older one is forgotten."""
        self._log = get_logger()
        self._availability = Availability(self._log, "bus.nats")

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
        done, _ = await asyncio.wait([self._opening], timeout=_OPEN_WAIT_S)
        if not done:
            self._availability.lost(f"no connection within {_OPEN_WAIT_S:g} s")

    async def close(self) -> None:
        """Send what is written and end the connection."""
        self._is_closing = True
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
                    disconnected_cb=self._on_disconnect,
                    reconnected_cb=self._on_reconnect,
                )
            except UNAVAILABLE as error:
                self._availability.lost(error)
                await asyncio.sleep(backoff)
                backoff = min(backoff * 2, 2.0)
            else:
                self._jetstream = self._client.jetstream(timeout=_TIMEOUT_S, publish_async_max_pending=10_000)
                self._availability.back()
                return

    async def _on_disconnect(self) -> None:
        if not self._is_closing:
            self._availability.lost("the connection broke")

    async def _on_reconnect(self) -> None:
        self.generation += 1
        self._availability.back()

    async def _on_error(self, error: Exception) -> None:
        """While there is no connection each try ends here; what matters of that was told before."""
        if self.client is not None:
            self._log.warning("bus.nats_error", error=repr(error))
