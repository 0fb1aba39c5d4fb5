"""The stream of all events and each handler's durable consumer: made where missing, never changed here."""

from datetime import timedelta

from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import BadRequestError, NotFoundError

from shared.bus.jetstream import wire
from shared.telemetry import get_logger

_IN_FLIGHT_MAX = 10_000


def durable_of(handler: str) -> str:
    """The name of the handler's consumer; NATS allows no dots in it."""
    return handler.replace(".", "_")


async def make_stream(jetstream: JetStreamContext, *, window: timedelta) -> None:
    """Make the stream where it is missing.

    A message stays until every handler that listens to it has acknowledged it; one that nobody listens
    to is not kept (the ledger has it). At the disk's limit new messages are refused, none is dropped.
    """
    config = StreamConfig(
        name=wire.STREAM,
        description="Every event of Trunkline; its consumers are the handlers.",
        subjects=[f"{wire.PREFIX}>"],
        retention=RetentionPolicy.INTEREST,
        storage=StorageType.FILE,
        discard=DiscardPolicy.NEW,
        duplicate_window=window.total_seconds(),
    )
    try:
        await jetstream.add_stream(config)
    except BadRequestError as error:
        if error.err_code != _STREAM_NAME_IN_USE:
            raise


async def make_consumer(
    jetstream: JetStreamContext, handler: str, event_type: str, *, lease: timedelta
) -> None:
    """Make the handler's consumer where it is missing; one of another make is left and reported."""
    config = ConsumerConfig(
        durable_name=durable_of(handler),
        description=f"Handler {handler}.",
        filter_subject=wire.subject_of(event_type),
        deliver_policy=DeliverPolicy.ALL,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=lease.total_seconds(),
        max_deliver=-1,
        max_ack_pending=_IN_FLIGHT_MAX,
    )
    try:
        found = (await jetstream.consumer_info(wire.STREAM, durable_of(handler))).config
    except NotFoundError:
        await jetstream.add_consumer(wire.STREAM, config)
        return
    if (found.filter_subject, found.ack_wait) != (config.filter_subject, config.ack_wait):
        get_logger().warning(
            "bus.consumer_differs",
            consumer=durable_of(handler),
            filter_subject=found.filter_subject,
            ack_wait_s=found.ack_wait,
            wanted_filter_subject=config.filter_subject,
            wanted_ack_wait_s=config.ack_wait,
        )


_STREAM_NAME_IN_USE = 10058
