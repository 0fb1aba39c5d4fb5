"""One handler's messages from its durable consumer in, deliveries out; acknowledged and renewed here.

The server delivers again what is neither acknowledged nor renewed for a lease (the consumer's ack_wait).
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

import nats.errors
from nats.aio.msg import Msg
from nats.js.errors import NotFoundError, ServiceUnavailableError

from shared.bus.availability import Availability
from shared.bus.delivery import Delivery, Receiver
from shared.bus.jetstream import wire
from shared.bus.jetstream.connection import UNAVAILABLE, NatsConnection
from shared.bus.jetstream.pull import Pull
from shared.bus.jetstream.topology import durable_of, make_consumer, make_stream
from shared.bus.routes import BusName
from shared.bus.taking import Taking
from shared.clock import rfc3339
from shared.contracts import addressed
from shared.errors import EnvelopeError
from shared.telemetry import get_logger

_MOST = 256
_WAIT_S = 1.0


class NatsIntake:
    """Takes messages of one event type as the handler's durable consumer, as many as there is room for."""

    bus: BusName = "nats"

    def __init__(
        self,
        connection: NatsConnection,
        receiver: Receiver,
        *,
        handler: str,
        event_type: str,
        lease: timedelta,
        window: timedelta,
    ) -> None:
        self._connection = connection
        self._receiver = receiver
        self._handler = handler
        self._event_type = event_type
        self._lease = lease
        self._window = window
        self._outstanding: dict[str, Delivery] = {}
        self._pull: Pull | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._running = False
        self._answers: list[tuple[str, bytes]] = []
        self._sending: asyncio.Task[None] | None = None
        self._log = get_logger().bind(group=durable_of(handler))
        self._availability = Availability(self._log, "bus.nats")

    async def start(self) -> None:
        """Begin to take messages, as soon as the server is there."""
        self._running = True
        with suppress(*UNAVAILABLE):
            await self._opened()
        taking = Taking(
            take=self._take_some,
            repair=self._close,
            unavailable=UNAVAILABLE,
            is_lost=lambda error: isinstance(error, NotFoundError | ServiceUnavailableError),
            availability=self._availability,
            log=self._log,
        )
        self._tasks = [
            asyncio.create_task(taking.run(lambda: self._running)),
            asyncio.create_task(self._renew()),
        ]

    async def stop(self) -> None:
        """Take no more, and hand back what has come meanwhile."""
        if not self._running:
            return
        self._running = False
        taking, renewing = self._tasks
        if self._pull is not None:
            self._pull.wake()
        with suppress(asyncio.CancelledError):
            await taking
        await self._close()
        renewing.cancel()

    def ack(self, delivery: Delivery) -> None:
        """The message is done with."""
        self._answer(delivery, b"+ACK")

    def forget(self, delivery: Delivery) -> None:
        """Leave the message to whom the server gives it after a lease."""
        self._outstanding.pop(delivery.token, None)

    async def hand_back(self, deliveries: Sequence[Delivery]) -> None:
        """Let the server deliver these again at once."""
        for delivery in deliveries:
            self._answer(delivery, b"-NAK")
        await self.leave()

    async def leave(self) -> None:
        """Return when every answer is sent; a durable consumer does not know its members."""
        while self._sending is not None:
            await asyncio.wait([self._sending])
        if (client := self._connection.client) is not None:
            with suppress(*UNAVAILABLE):
                await client.flush(timeout=2)

    async def _close(self) -> None:
        if self._pull is not None:
            pull, self._pull = self._pull, None
            for message in await pull.close():
                self._send(message.reply, b"-NAK")

    def _answer(self, delivery: Delivery, answer: bytes) -> None:
        self._outstanding.pop(delivery.token, None)
        self._send(delivery.handle.reply, answer)

    def _send(self, reply: str, answer: bytes) -> None:
        """Write soon, with others; lost with the connection, and then the message is delivered again."""
        self._answers.append((reply, answer))
        if self._sending is None:
            self._sending = asyncio.create_task(self._send_answers())

    async def _send_answers(self) -> None:
        try:
            while self._answers:
                answers, self._answers = self._answers, []
                client = self._connection.client
                if client is None:
                    return
                with suppress(*UNAVAILABLE):
                    for reply, answer in answers:
                        await client.publish(reply, answer)
        finally:
            self._sending = None

    async def _take_some(self) -> None:
        room = min(await self._receiver.room(), _MOST)
        if not self._running:
            return
        pull = await self._opened()
        messages = await pull.take(room, wait_s=_WAIT_S)
        if messages:
            await self._hand_up(messages)

    async def _opened(self) -> Pull:
        """The consumer, listened to; stream and consumer are made where they are missing."""
        if self._pull is None:
            client, jetstream = self._connection.client, self._connection.jetstream
            if client is None or jetstream is None:
                raise nats.errors.ConnectionClosedError
            durable = durable_of(self._handler)
            await make_stream(jetstream, window=self._window)
            await make_consumer(jetstream, self._handler, self._event_type, lease=self._lease)
            pull = Pull(self._connection, stream=wire.STREAM, consumer=durable, lease=self._lease)
            await pull.open(client)
            self._pull = pull
        return self._pull

    async def _hand_up(self, messages: Sequence[Msg]) -> None:
        deliveries = [self._delivery(message) for message in messages]
        for delivery in deliveries:
            self._outstanding[delivery.token] = delivery
        await self._receiver.receive(deliveries)

    def _delivery(self, message: Msg) -> Delivery:
        sequence = message.metadata.sequence.stream
        token = f"{wire.STREAM} {sequence}"
        try:
            envelope = wire.decode(
                message.subject,
                sequence,
                rfc3339(message.metadata.timestamp),
                message.headers or {},
                message.data,
            )
        except EnvelopeError as error:
            return Delivery(
                self, token=token, channel=message.subject, handle=message, fault=error, raw=message.data
            )
        # What lies on a subject is for every handler of its type, whatever its producer wrote into it.
        return Delivery(
            self, token=token, channel=message.subject, handle=message, envelope=addressed(envelope, None)
        )

    async def _renew(self) -> None:
        """Show that the messages in hand are worked on, three times a lease."""
        while True:
            await asyncio.sleep(self._lease.total_seconds() / 3)
            # What has come and waits for room is in hand, too.
            arrived = self._pull.arrived if self._pull is not None else ()
            for message in [*(delivery.handle for delivery in self._outstanding.values()), *arrived]:
                self._send(message.reply, b"+WPI")
