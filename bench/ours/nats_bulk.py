"""Very many envelopes in, the messages that Bus.publish would write out, several times as fast.

Bus.publish has the server's word for each message. Here the stream is asked once for a whole batch how many
it has: good enough for a bench, which throws its servers away.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Self

import nats
from nats.aio.client import Client

from shared.bus.jetstream.wire import STREAM, encode, subject_of
from shared.contracts import Envelope
from shared.settings import Settings

_POLL_S = 0.002
_LIMIT_S = 20.0


class NatsBulk:
    """Publishes to a stream that is there already and that nobody else publishes to."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._jetstream = client.jetstream()

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings) -> AsyncGenerator[Self]:
        """With a connection of its own."""
        client = await nats.connect(settings.nats_url.get_secret_value())
        try:
            yield cls(client)
        finally:
            await client.close()

    async def publish(self, envelopes: Sequence[Envelope]) -> None:
        """Return when the stream has them all. At most 10,000: of more the server would drop some."""
        wanted = await self._last() + len(envelopes)
        for envelope in envelopes:
            await self._client.publish(subject_of(envelope.type), envelope.data, headers=encode(envelope))
        await self._client.flush()
        async with asyncio.timeout(_LIMIT_S):
            while await self._last() < wanted:  # noqa: ASYNC110 - another process counts
                await asyncio.sleep(_POLL_S)

    async def _last(self) -> int:
        return (await self._jetstream.stream_info(STREAM)).state.last_seq
