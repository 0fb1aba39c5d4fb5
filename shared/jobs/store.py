"""Jobs in Redis: a batch of deliveries, endings or renewals in, a verdict for each out; one call a batch.

Every call may be repeated when its reply was lost: the scripts recognise their own work.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

import msgspec
from msgpack import Packer

from shared.bus import Delivery
from shared.bus.redis_streams import RedisClient, script
from shared.clock import from_rfc3339
from shared.contracts import DELIVER_AT, EXPIRES_AT, encode_structured
from shared.jobs import keys
from shared.jobs.handlers import Handler
from shared.jobs.limits import FIELDS, Limits, limits_of

# Redis's msgpack knows text and bytes as one raw type only.
_pack = Packer(use_bin_type=False).pack
_DUE_MOST = 500


NOT_NOW = -2
"""The attempt of a verdict on a job that a limit does not let start."""


class Verdict(NamedTuple):
    """What becomes of a delivery: attempt > 0 runs now, 0 was done with before, -1 is a live worker's.

    NOT_NOW is to be held, and asked for again.
    """

    attempt: int
    event: bytes
    """The stored event, when the delivery was a mere reference to its job."""
    limit: bytes = b""
    """What does not let it start: `paused`, `concurrency` or `rate`."""
    wait_ms: int = 0
    """When it may be worth while to ask again."""


class Due(NamedTuple):
    """What became due: how many jobs were queued, when the next will be, and which are to be cancelled."""

    moved: int
    until_next: timedelta | None
    to_cancel: Sequence[str]
    limits: Limits
    """What an operator says of the handler's limits."""


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How one attempt ended."""

    event_id: str
    attempt: int
    state: str
    wait: timedelta = timedelta(0)
    """Until the next attempt, when the state is `retrying`."""
    counts: bool = True
    """Whether it is one of the attempts that the policy grants."""
    fields: tuple[str | bytes, ...] = ()
    """What else the job's hash gets: name, value, name, value ..."""
    record: bytes = b""
    """The failed attempt as JSON, for the job's history."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Who asks, and for how long things are kept."""

    worker: str
    version: str
    lease: timedelta
    result_ttl: timedelta
    dead_ttl: timedelta


class JobStore:
    """The state of every job; one of these for each worker."""

    def __init__(self, redis: RedisClient, terms: Terms) -> None:
        self._redis = redis
        self._terms = terms
        self._claim, self._finish, self._renew, self._due, self._bury, self._progress = (
            script(redis, "shared.jobs.lua", name)
            for name in ("claim", "finish", "renew", "due", "bury", "progress")
        )

    async def claim(self, handler: Handler, deliveries: Sequence[Delivery]) -> list[Verdict]:
        """Which of these run now; those are this worker's for a lease from now."""
        now_ms = time.time_ns() // 1_000_000
        names = [
            keys.running(handler.name),
            keys.waiting(handler.name),
            keys.dead(handler.name),
            keys.LOG,
            keys.control(handler.name),
            keys.rate(handler.name),
            keys.minute(handler.name),
            keys.suspects(handler.name),
        ]
        names += [keys.job(handler.name, delivery.event_id) for delivery in deliveries]
        terms = self._terms
        message = (
            handler.name,
            handler.service,
            terms.version,
            terms.worker,
            handler.retry.attempts,
            _ms(terms.lease),
            _ms(terms.dead_ttl),
            [_claim_of(delivery, now_ms) for delivery in deliveries],
            handler.total_concurrency or 0,
            handler.rate or 0,
        )
        return [Verdict(*verdict) for verdict in await self._claim(names, [_pack(message)])]

    async def finish(self, handler: str, endings: Sequence[Ending]) -> list[bool]:
        """End these attempts; False for each that is another worker's by now."""
        names = [
            keys.running(handler),
            keys.waiting(handler),
            keys.dead(handler),
            keys.cancelling(handler),
            keys.LOG,
            keys.minute(handler),
        ]
        names += [keys.job(handler, ending.event_id) for ending in endings]
        attempts = [
            (
                ending.event_id,
                ending.attempt,
                ending.state,
                _ms(ending.wait),
                int(ending.counts),
                ending.fields,
                ending.record,
            )
            for ending in endings
        ]
        terms = self._terms
        message = (handler, terms.worker, _ms(terms.result_ttl), _ms(terms.dead_ttl), attempts)
        return [bool(verdict) for verdict in await self._finish(names, [_pack(message)])]

    async def renew(self, handler: str, jobs: Sequence[tuple[str, int]]) -> list[bool]:
        """Hold (event id, attempt) for another lease; False for each that is another worker's by now."""
        names = [keys.running(handler), *(keys.job(handler, event_id) for event_id, _ in jobs)]
        message = (self._terms.worker, _ms(self._terms.lease), jobs)
        return [bool(verdict) for verdict in await self._renew(names, [_pack(message)])]

    async def move_due(self, handler: str) -> "Due":
        """Queue the jobs whose wait is over, and learn what else is to be done now."""
        names = [
            keys.waiting(handler),
            keys.queue(handler),
            keys.LOG,
            keys.cancelling(handler),
            keys.control(handler),
        ]
        arguments: list[str | bytes | int] = [handler, keys.job(handler, ""), _DUE_MOST, *FIELDS]
        moved, next_ms, to_cancel, limits = await self._due(names, arguments)
        return Due(
            moved=moved,
            until_next=timedelta(milliseconds=next_ms) if next_ms >= 0 else None,
            to_cancel=[event_id.decode() for event_id in to_cancel],
            limits=limits_of(limits),
        )

    async def bury(self, handler: Handler, event_id: str, fields: Sequence[str | bytes]) -> bool:
        """Make a dead job of bytes that are no event; False when they are one already."""
        names = [keys.dead(handler.name), keys.LOG, keys.job(handler.name, event_id)]
        arguments = [handler.name, event_id, _ms(self._terms.dead_ttl), *fields]
        return bool(await self._bury(names, arguments))

    async def tell_progress(self, handler: str, event_id: str, attempt: int, progress: bytes) -> bool:
        """Note how far the job is; False when it is another worker's by now."""
        names = [keys.LOG, keys.job(handler, event_id)]
        arguments = [handler, event_id, attempt, self._terms.worker, progress]
        return bool(await self._progress(names, arguments))


def _claim_of(delivery: Delivery, now_ms: int) -> tuple[str | bytes | int, ...]:
    envelope = delivery.envelope
    if envelope is None:
        return (delivery.event_id, delivery.token, b"", "", now_ms, "", 0, 0)
    return (
        envelope.id,
        delivery.token,
        encode_structured(envelope),
        envelope.type,
        now_ms,
        envelope.traceparent or "",
        instant_ms(envelope.attributes.get(DELIVER_AT)),
        instant_ms(envelope.attributes.get(EXPIRES_AT)),
    )


def instant_ms(text: str | None) -> int:
    """The instant in ms since the epoch, 0 for none; an envelope holds only instants that can be read."""
    return round(from_rfc3339(text).timestamp() * 1000) if text else 0


def _ms(duration: timedelta) -> int:
    return round(duration.total_seconds() * 1000)
