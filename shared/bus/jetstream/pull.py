"""A durable consumer in, its messages out as they come: one standing request instead of one for each turn.

nats-py's fetch() asks twice for each batch and, when it is cancelled, loses what it had in hand.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js.errors import ServiceUnavailableError

from shared.bus.jetstream.connection import UNAVAILABLE, NatsConnection

_EXPIRES_S = 5.0
_LATE_S = 2.0
_NO_CONSUMER = ("503", "404")
_UNLIMITED = 0


class Pull:
    """Takes a consumer's messages; nothing is lost between two calls of `take`."""

    def __init__(self, connection: NatsConnection, *, stream: str, consumer: str, lease: timedelta) -> None:
        self._connection = connection
        # A paused process must not be given what it lost: its request is over before its lease is.
        self._expires_s = min(_EXPIRES_S, lease.total_seconds() / 2)
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._client: Client | None = None
        self._subscription: Subscription | None = None
        self._messages: list[Msg] = []
        self._arrived = asyncio.Event()
        self._requested = 0
        self._request_ends = 0.0
        self._request_made_on = -1
        self._lost = ""

    async def open(self, client: Client) -> None:
        """Listen where the server will send the messages."""
        self._client = client
        self._inbox = client.new_inbox()
        self._subscription = await client.subscribe(
            self._inbox, cb=self._on_message, pending_msgs_limit=_UNLIMITED, pending_bytes_limit=_UNLIMITED
        )

    async def take(self, room: int, *, wait_s: float) -> list[Msg]:
        """What has come, waiting up to `wait_s` for the first; at most what was asked for with `room`.

        ServiceUnavailableError when the consumer is gone.
        """
        if not self._messages:
            await self._request(room)
            self._arrived.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._arrived.wait(), timeout=wait_s)
        if self._lost:
            lost, self._lost = self._lost, ""
            raise ServiceUnavailableError(description=lost)
        messages, self._messages = self._messages, []
        self._requested -= len(messages)
        return messages

    @property
    def arrived(self) -> Sequence[Msg]:
        """What has come and was not taken."""
        return tuple(self._messages)

    def wake(self) -> None:
        """End the wait of `take`."""
        self._arrived.set()

    async def close(self) -> list[Msg]:
        """Ask for no more; returns what has come and was not taken."""
        if self._client is not None and self._subscription is not None:
            with suppress(*UNAVAILABLE):
                # Unlike unsubscribe(), this keeps taking what the server has sent until it knows.
                await self._client._send_unsubscribe(self._subscription._id)  # noqa: SLF001 - nats-py has no public way
                await self._client.flush(timeout=1)
                await asyncio.sleep(0)
                await self._subscription.unsubscribe()
        messages, self._messages = self._messages, []
        return messages

    async def _request(self, room: int) -> None:
        """Ask for messages unless the last request still stands."""
        stands = self._requested > 0 and time.monotonic() < self._request_ends
        if (stands and self._request_made_on == self._connection.generation) or self._client is None:
            return
        request = {"batch": room, "expires": int(self._expires_s * 1e9)}
        await self._client.publish(self._subject, msgspec.json.encode(request), reply=self._inbox)
        self._requested = room
        self._request_ends = time.monotonic() + self._expires_s + _LATE_S
        self._request_made_on = self._connection.generation

    async def _on_message(self, message: Msg) -> None:
        headers = message.headers
        if headers is not None and "Status" in headers and not message.data:
            self._on_status(headers["Status"], headers.get("Description", ""))
        else:
            self._messages.append(message)
        self._arrived.set()

    def _on_status(self, status: str, description: str) -> None:
        """The server ends a request: it expired (408), or there is no such consumer any more."""
        self._requested = 0
        gone = status == "409" and "deleted" in description.lower()
        if status in _NO_CONSUMER or gone:
            self._lost = f"{status} {description or 'no such consumer'}"
