"""Jobs whose messages may be gone: how they stand in Redis out, and those that are lost queued again.

It knows no bus: whether a message still lies there is found out between the two.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from msgpack import Packer

from shared.bus.redis_streams import RedisClient, script
from shared.contracts import DELIVER_AT, EXPIRES_AT, Envelope, encode_structured
from shared.jobs import keys
from shared.jobs.registry import HandlerRecord
from shared.jobs.states import FINAL
from shared.jobs.store import instant_ms

# Redis's msgpack knows text and bytes as one raw type only.
_pack = Packer(use_bin_type=False).pack


class JobStanding(NamedTuple):
    """How a job stands in Redis."""

    state: str
    """Empty when Redis does not know the job: nobody took it yet, or all was lost."""
    token: str
    """Names the message that it was run from last; empty when it never ran."""
    is_held: bool
    """Whether it runs under a lease that stands, waits for its instant, or lies in its handler's queue."""

    @property
    def is_final(self) -> bool:
        """Whether it has ended."""
        return self.state in FINAL


class LostJobs:
    """Looks at jobs, and queues lost ones again; `keep` is how long a queued job is kept in Redis."""

    def __init__(self, redis: RedisClient, *, keep: timedelta) -> None:
        self._standing = script(redis, "shared.jobs.lua", "standing")
        self._requeue = script(redis, "shared.jobs.lua", "requeue")
        self._keep_ms = round(keep.total_seconds() * 1000)

    async def look(self, handler: str, event_ids: Sequence[str]) -> list[JobStanding]:
        """How each of the jobs stands; one round trip."""
        names = [keys.running(handler), keys.waiting(handler), keys.queue(handler)]
        names += [keys.job(handler, event_id) for event_id in event_ids]
        return [
            JobStanding(state.decode(), token.decode(), bool(held))
            for state, token, held in await self._standing(names, [*event_ids])
        ]

    async def queue_again(self, handler: HandlerRecord, events: Sequence[Envelope]) -> list[bool]:
        """Queue the handler's jobs of these events; False for each that turned out not to be lost.

        A job that Redis does not know begins anew, and waits if its event is to be delivered later; one
        that it knows keeps its attempts. To repeat the call is harmless.
        """
        name = handler.name
        names = [keys.running(name), keys.waiting(name), keys.queue(name), keys.LOG]
        names += [keys.job(name, event.id) for event in events]
        jobs = [
            (
                event.id,
                encode_structured(event),
                event.type,
                event.traceparent or "",
                instant_ms(event.attributes.get(DELIVER_AT)),
                instant_ms(event.attributes.get(EXPIRES_AT)),
            )
            for event in events
        ]
        message = (name, handler.service, handler.max_attempts, self._keep_ms, jobs)
        return [bool(queued) for queued in await self._requeue(names, [_pack(message)])]
