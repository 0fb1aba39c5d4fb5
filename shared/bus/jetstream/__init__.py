"""NATS JetStream: wire format, connection, topology, publisher, and one handler's intake."""

from shared.bus.jetstream.connection import NatsConnection
from shared.bus.jetstream.intake import NatsIntake
from shared.bus.jetstream.publisher import NatsPublisher
from shared.bus.jetstream.topology import durable_of, make_consumer, make_stream

__all__ = ["NatsConnection", "NatsIntake", "NatsPublisher", "durable_of", "make_consumer", "make_stream"]
