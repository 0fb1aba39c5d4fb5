"""What is in the JetStream stream, for who looks at it: sequences in, whether their events lie there out."""

import asyncio
from collections.abc import Sequence

from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from shared.bus.jetstream import wire
from shared.bus.jetstream.connection import UNAVAILABLE, NatsConnection
from shared.bus.jetstream.topology import durable_of
from shared.clock import rfc3339
from shared.errors import BusUnavailable, EnvelopeError

# The server answers with the whole message: as many at a time as do not hold up anybody else.
_AT_ONCE = 20


class NatsLookup:
    """Reads the stream and changes nothing; BusUnavailable when NATS does not answer."""

    def __init__(self, connection: NatsConnection) -> None:
        self._connection = connection

    async def existing(self, asked: Sequence[tuple[int, str]]) -> list[bool]:
        """Whether each sequence holds the event of this id: a stream that is made anew counts from one."""
        there: list[bool] = []
        try:
            for start in range(0, len(asked), _AT_ONCE):
                part = asked[start : start + _AT_ONCE]
                there += await asyncio.gather(*(self._holds(sequence, id_) for sequence, id_ in part))
        except UNAVAILABLE as error:
            raise _unavailable(error) from error
        return there

    async def are_waiting(self, handler: str) -> bool:
        """Whether the handler's consumer has messages to take or to acknowledge."""
        try:
            consumer = await self._jetstream().consumer_info(wire.STREAM, durable_of(handler))
        except NotFoundError:
            return False
        except UNAVAILABLE as error:
            raise _unavailable(error) from error
        return bool(consumer.num_pending or consumer.num_ack_pending)

    async def _holds(self, sequence: int, event_id: str) -> bool:
        try:
            found = await self._jetstream().get_msg(wire.STREAM, sequence)
        except NotFoundError:
            return False
        time = rfc3339(found.time) if found.time is not None else ""
        try:
            held = wire.decode(found.subject or "", sequence, time, found.headers or {}, found.data or b"")
        except EnvelopeError:
            return False
        return held.id == event_id

    def _jetstream(self) -> JetStreamContext:
        jetstream = self._connection.jetstream
        if jetstream is None:
            raise BusUnavailable("nats is not connected")
        return jetstream


def is_token(token: str) -> bool:
    """Whether a delivery's token is one of JetStream's."""
    stream, _, sequence = token.rpartition(" ")
    return stream == wire.STREAM and sequence.isdecimal()


def _unavailable(error: BaseException) -> BusUnavailable:
    return BusUnavailable(f"nats does not answer: {error!r}")
