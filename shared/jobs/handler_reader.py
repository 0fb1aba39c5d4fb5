"""Names of handlers in, how each stands out: its limits, and how many jobs run, wait, are dead or queued."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from shared.bus.redis_streams import RedisClient
from shared.jobs import keys
from shared.jobs.limits import FIELDS, Limits, limits_of

_MINUTE_S: Final = 60
_COUNTED: Final = ("started", "ended")


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One handler as it stands now."""

    limits: Limits
    """What an operator says; the code's are in its HandlerRecord."""
    running: int
    """Jobs with a worker that holds their lease."""
    waiting: int
    """Jobs that wait for a retry or a later delivery."""
    due: int
    """Those of them whose wait is over within a minute: a worker has to be there to queue them."""
    dead: int
    queued: int
    """Entries of its own queue: retries that are due, replays."""
    started_per_s: float
    """Attempts that started, on average over the last minute."""
    ended_per_s: float
    seen_at: datetime | None
    """When a worker last announced that it runs this handler."""


class HandlerReader:
    """Reads what the scripts keep; writes nothing."""

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis

    async def get(self, handlers: Sequence[str]) -> list[Standing]:
        """The handlers' standings in this order, nothing but zeros for unknown ones; one round trip."""
        if not handlers:
            return []
        now_ms = time.time_ns() // 1_000_000
        minute, into_minute_ms = divmod(now_ms, _MINUTE_S * 1000)
        pipe = self._redis.pipeline(transaction=False)
        for handler in handlers:
            pipe.hmget(keys.control(handler), FIELDS)
            pipe.zcount(keys.running(handler), now_ms, "+inf")
            pipe.zcard(keys.waiting(handler))
            pipe.zcount(keys.waiting(handler), "-inf", now_ms + _MINUTE_S * 1000)
            pipe.zcard(keys.dead(handler))
            pipe.xlen(keys.queue(handler))
            pipe.hmget(keys.minute(handler, minute), _COUNTED)
            pipe.hmget(keys.minute(handler, minute - 1), _COUNTED)
            pipe.zscore(keys.SEEN, handler)
        replies = await pipe.execute()
        share = 1 - into_minute_ms / (_MINUTE_S * 1000)
        size = len(replies) // len(handlers)
        return [_standing(replies[at : at + size], share) for at in range(0, len(replies), size)]


def _standing(replies: Sequence[Any], share: float) -> Standing:
    """`share` of the last minute lies within the 60 s before now."""
    limits, running, waiting, due, dead, queued, this_minute, last_minute, seen_ms = replies
    started, ended = (
        round((int(now or 0) + share * int(before or 0)) / _MINUTE_S, 3)
        for now, before in zip(this_minute, last_minute, strict=True)
    )
    return Standing(
        limits=limits_of(limits),
        running=running,
        waiting=waiting,
        due=due,
        dead=dead,
        queued=queued,
        started_per_s=started,
        ended_per_s=ended,
        seen_at=datetime.fromtimestamp(seen_ms / 1000, UTC) if seen_ms else None,
    )
