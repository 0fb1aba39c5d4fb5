"""Whether every handler will get its events: registered handlers in, missing groups and durables out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nats.js.api import AckPolicy
from nats.js.errors import NotFoundError, ServiceUnavailableError
from redis.exceptions import ResponseError

from launcher.doctor.findings import Finding, fault, ok, warning
from shared.bus.jetstream import durable_of
from shared.bus.jetstream.wire import STREAM, subject_of
from shared.bus.redis_streams.wire import stream_of
from shared.jobs import HandlerRecord, Registry, keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nats.js.api import ConsumerConfig

    from launcher.doctor.patient import Nats, Patient

_ABOUT = "handlers"
_REMOVED = "One that was removed for good stays in the hash `handlers` of Redis until it is taken out."
_DEAF = "Its events are not kept for it: they become jobs late, by the reconciler, or not at all."


async def examine(patient: Patient) -> list[Finding]:
    """A fault for each group and durable that is missing or not ours; else one finding for all."""
    if patient.redis is None:
        return []
    handlers = list((await Registry(patient.redis).handlers()).values())
    if not handlers:
        return [
            warning(
                _ABOUT,
                "none has announced itself",
                why="Events are accepted, and nobody will work on them.",
                do="Start the services; each announces its handlers when it comes up.",
            )
        ]
    without_queue, without_group = await _on_redis(patient.redis, handlers)
    durables = await _on_nats(patient, handlers)
    if not _is_in_use("redis", patient, without_group, handlers, other_is_whole=durables == []):
        without_group = []
    wrong = [*without_queue, *without_group, *(durables or [])]
    return wrong or [ok(_ABOUT, f"all {len(handlers)} have their groups and consumers")]


def _is_in_use(
    bus: str,
    patient: Patient,
    missing: Sequence[Finding],
    handlers: Sequence[HandlerRecord],
    *,
    other_is_whole: bool,
) -> bool:
    """By BUSES where it is known; else a bus without any group is off, if the other one has all."""
    if patient.buses is not None:
        return bus in patient.buses
    return not (other_is_whole and len(missing) == len(handlers))


async def _on_redis(redis: Any, handlers: Sequence[HandlerRecord]) -> tuple[list[Finding], list[Finding]]:
    """Handlers without a group on their own queue, and those without one on the stream of their events."""
    pipe = redis.pipeline(transaction=False)
    for handler in handlers:
        pipe.xinfo_groups(keys.queue(handler.name))
        pipe.xinfo_groups(stream_of(handler.event_type))
    replies = await pipe.execute(raise_on_error=False)
    queues = [
        _no_group(handler, keys.queue(handler.name))
        for handler, reply in zip(handlers, replies[::2], strict=True)
        if not _has_group(reply, handler.name)
    ]
    streams = [
        _no_group(handler, stream_of(handler.event_type))
        for handler, reply in zip(handlers, replies[1::2], strict=True)
        if not _has_group(reply, handler.name)
    ]
    return queues, streams


def _has_group(reply: Any, group: str) -> bool:
    if isinstance(reply, ResponseError) and "no such key" in str(reply):
        return False
    if isinstance(reply, Exception):
        raise reply
    return any(one["name"] == group.encode() for one in reply)


async def _on_nats(patient: Patient, handlers: Sequence[HandlerRecord]) -> list[Finding] | None:
    """None when NATS is not in use, or does not answer."""
    if patient.nats is None or (patient.buses is not None and "nats" not in patient.buses):
        return None
    try:
        await patient.nats.jetstream.stream_info(STREAM)
    except (NotFoundError, ServiceUnavailableError):
        return None
    found = [await _durable(patient.nats, handler) for handler in handlers]
    return [finding for finding in found if finding is not None]


async def _durable(nats: Nats, handler: HandlerRecord) -> Finding | None:
    name = durable_of(handler.name)
    try:
        config = (await nats.jetstream.consumer_info(STREAM, name)).config
    except NotFoundError:
        return fault(
            _ABOUT,
            f"{handler.name} has no consumer {name} on NATS",
            why=_DEAF,
            do=f"Restart a worker of {handler.service}: it makes the consumer. {_REMOVED}",
        )
    wrong = _difference(config, handler)
    if wrong is None:
        return None
    what, why = wrong
    return fault(
        _ABOUT,
        f"{handler.name}: its consumer {name} on NATS {what}",
        why=why,
        do=f"Delete it (`nats consumer rm {STREAM} {name}`) and restart a worker of {handler.service}.",
    )


def _difference(config: ConsumerConfig, handler: HandlerRecord) -> tuple[str, str] | None:
    if config.ack_policy != AckPolicy.EXPLICIT:
        return "acknowledges by itself", "A worker that dies takes its jobs with it."
    if (config.max_deliver or -1) > 0:
        return f"gives up after {config.max_deliver} deliveries", "Jobs are parked there without a word."
    if config.filter_subject != subject_of(handler.event_type):
        return f"listens to {config.filter_subject}", f"Events of {handler.event_type} do not reach it."
    return None


def _no_group(handler: HandlerRecord, stream: str) -> Finding:
    return fault(
        _ABOUT,
        f"{handler.name} has no group on {stream}",
        why=_DEAF,
        do=f"Restart a worker of {handler.service}: it makes the group, from the first entry on. {_REMOVED}",
    )
