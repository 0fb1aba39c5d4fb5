"""Envelopes in, messages of the JetStream stream out; each id once within the stream's window."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from nats.js import JetStreamContext
from nats.js.api import PubAck
from nats.js.errors import NoStreamResponseError

from shared.bus.availability import Availability
from shared.bus.jetstream import wire
from shared.bus.jetstream.connection import UNAVAILABLE, NatsConnection
from shared.bus.jetstream.topology import make_stream
from shared.contracts import Envelope
from shared.telemetry import get_logger

_ANSWER_S = 5.0


class NatsPublisher:
    """Publishes to JetStream, a whole batch without waiting in between."""

    def __init__(self, connection: NatsConnection, *, window: timedelta) -> None:
        self._connection = connection
        self._window = window
        self._availability = Availability(get_logger(), "bus.nats")

    async def publish(self, envelopes: Sequence[Envelope]) -> dict[str, str]:
        """The places of those that the stream has for certain."""
        jetstream = self._connection.jetstream
        if jetstream is None:
            self._availability.lost("not connected")
            return {}
        try:
            return await self._publish(jetstream, envelopes)
        except NoStreamResponseError:
            await make_stream(jetstream, window=self._window)
            return await self._publish(jetstream, envelopes)
        except UNAVAILABLE as error:
            self._availability.lost(error)
            return {}

    async def _publish(self, jetstream: JetStreamContext, envelopes: Sequence[Envelope]) -> dict[str, str]:
        answers: dict[asyncio.Future[PubAck], str] = {}
        try:
            for envelope in envelopes:
                answer = await jetstream.publish_async(
                    wire.subject_of(envelope.type),
                    envelope.data,
                    wait_stall=_ANSWER_S,
                    headers=wire.encode(envelope),
                )
                answers[answer] = envelope.id
            done, _ = await asyncio.wait(answers, timeout=_ANSWER_S)
        finally:
            for answer in answers:
                answer.cancel()
        errors = [error for answer in done if (error := answer.exception())]
        if any(isinstance(error, NoStreamResponseError) for error in errors):
            raise NoStreamResponseError
        if len(done) < len(answers) or errors:
            self._availability.lost(errors[0] if errors else f"no answer within {_ANSWER_S:g} s")
        else:
            self._availability.back()
        # Of a duplicate the server answers with the sequence of the first.
        return {
            answers[answer]: f"nats:{wire.STREAM} {answer.result().seq}"
            for answer in done
            if answer.exception() is None
        }
