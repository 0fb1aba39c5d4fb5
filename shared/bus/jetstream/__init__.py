"""NATS JetStream: wire format, connection, topology, publisher, and one handler's intake."""

from shared.bus.jetstream.backlog import backlog, backlog_in
from shared.bus.jetstream.connection import UNAVAILABLE, NatsConnection
from shared.bus.jetstream.intake import NatsIntake
from shared.bus.jetstream.publisher import NatsPublisher
from shared.bus.jetstream.topology import durable_of, make_consumer, make_stream

__all__ = [
    "UNAVAILABLE",
    "NatsConnection",
    "NatsIntake",
    "NatsPublisher",
    "backlog",
    "backlog_in",
    "durable_of",
    "make_consumer",
    "make_stream",
]
