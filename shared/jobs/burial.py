"""Bytes that are no event: a delivery and its fault in, a dead job with the bytes out; then an ack."""

from base64 import b64encode
from hashlib import sha256
from uuid import NAMESPACE_URL, uuid5

from shared.bus import Delivery
from shared.bus.redis_streams import UNAVAILABLE
from shared.errors import ContractError
from shared.jobs.handlers import Handler
from shared.jobs.store import JobStore
from shared.jobs.verdict import failure_of
from shared.telemetry import get_logger

_RAW_MAX = 256 * 1024

_log = get_logger()


async def bury(handler: Handler, store: JobStore, delivery: Delivery, fault: ContractError) -> None:
    """Keep the bytes as a dead job of this handler; the same message again is the same job.

    With Redis away the message is left to be delivered again.
    """
    event_id = str(uuid5(NAMESPACE_URL, f"{delivery.token} {sha256(delivery.raw).hexdigest()}"))
    fields: list[str | bytes] = [
        "service",
        handler.service,
        "max_attempts",
        str(handler.retry.attempts),
        "event_type",
        handler.event_type,
        "channel",
        delivery.channel,
        "raw",
        b64encode(delivery.raw[:_RAW_MAX]),
        "error",
        failure_of(fault).to_json(),
    ]
    log = _log.bind(handler=handler.name, event_id=event_id, channel=delivery.channel)
    try:
        await store.bury(handler, event_id, fields)
    except UNAVAILABLE as error:
        log.warning("job.bury_failed", error=str(error) or repr(error))
        delivery.intake.forget(delivery)
        return
    log.error("job.dead", reason="invalid", error=str(fault))
    delivery.intake.ack(delivery)
