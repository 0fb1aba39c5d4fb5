"""A handler in, how many messages its durable consumer has before it out."""

from datetime import UTC, datetime

import nats.errors
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from shared.bus.backlog import Backlog
from shared.bus.jetstream import wire
from shared.bus.jetstream.connection import NatsConnection
from shared.bus.jetstream.topology import durable_of


async def backlog(connection: NatsConnection, handler: str, event_type: str) -> Backlog:
    """The handler's messages; nothing is kept for one that has no consumer. Raises UNAVAILABLE's."""
    jetstream = connection.jetstream
    if jetstream is None:
        raise nats.errors.ConnectionClosedError
    return await backlog_in(jetstream, handler, event_type)


async def backlog_in(jetstream: JetStreamContext, handler: str, event_type: str) -> Backlog:
    """The same, for who has a connection of another kind."""
    try:
        info = await jetstream.consumer_info(wire.STREAM, durable_of(handler))
    except NotFoundError:
        return Backlog()
    lag, pending = info.num_pending or 0, info.num_ack_pending or 0
    if not lag + pending:
        return Backlog()
    floor = info.ack_floor.stream_seq if info.ack_floor else 0
    read = info.delivered.stream_seq if info.delivered else 0
    oldest_at = await _came_at(jetstream, event_type, floor + 1)
    if not lag:
        return Backlog(lag, pending, oldest_at)
    return Backlog(
        lag, pending, oldest_at, await _came_at(jetstream, event_type, read + 1) if pending else oldest_at
    )


async def _came_at(jetstream: JetStreamContext, event_type: str, sequence: int) -> datetime | None:
    """When the first message of the type came that has at least this sequence."""
    try:
        first = await jetstream.get_msg(
            wire.STREAM, seq=sequence, subject=wire.subject_of(event_type), next=True
        )
    except NotFoundError:
        return None  # acknowledged meanwhile
    return first.time.astimezone(UTC) if first.time else None
