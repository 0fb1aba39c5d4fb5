"""Envelopes of direct jobs in, entries of their handlers' queues out; and whose the unique keys are."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from msgpack import Packer

from shared.bus.redis_streams import wire
from shared.bus.redis_streams.client import RedisClient, script
from shared.bus.redis_streams.queue_keys import job_of, mark_of, queue_of, unique_of
from shared.clock import from_rfc3339
from shared.contracts import HANDLER, UNIQUE_KEY, UNIQUE_UNTIL, Envelope

_PACKAGE = "shared.bus.redis_streams"
_IN_DOUBT = "?"

# Redis's msgpack knows text and bytes as one raw type only.
_pack = Packer(use_bin_type=False).pack


class Holder(NamedTuple):
    """The event that has a unique key."""

    event_id: str
    is_certain: bool
    """False while it is only reserved: what is to be committed may come to nothing."""


class Placed(NamedTuple):
    """What became of a job that was to be enqueued."""

    holder: Holder
    """The job itself, or the one that has its unique key."""
    is_new: bool
    """Whether it was added by this call."""
    place: str
    """Where a job lies that is in the queue (shared/bus/places.py)."""


class RedisQueues:
    """The queues of all handlers. Every call may be repeated: the marks make a copy harmless.

    Raises what redis-py raises, UNAVAILABLE.
    """

    def __init__(self, client: RedisClient, *, window: timedelta) -> None:
        self._enqueue = script(client, _PACKAGE, "enqueue")
        self._window_ms = round(window.total_seconds() * 1000)

    async def enqueue(self, job: Envelope) -> Placed:
        """Add the job, unless another has its unique key."""
        [placed] = await self._add(job.attributes[HANDLER], [job], must=False)
        return placed

    async def publish(self, handler: str, jobs: Sequence[Envelope]) -> dict[str, str]:
        """Add these jobs, which are promised already: also one whose unique key another has by now.

        Where each id lies (shared/bus/places.py).
        """
        placed = await self._add(handler, jobs, must=True)
        return {job.id: one.place for job, one in zip(jobs, placed, strict=True)}

    async def _add(self, handler: str, jobs: Sequence[Envelope], *, must: bool) -> list[Placed]:
        names = [queue_of(handler)]
        for job in jobs:
            mark = mark_of(handler, job.id)
            names += [mark, _unique_key(job) or mark]
        message = (
            self._window_ms,
            job_of(handler, ""),
            int(must),
            [(job.id, wire.encode(job), _unique_ms(job)) for job in jobs],
        )
        answers = await self._enqueue(names, [_pack(message)])
        return [
            Placed(_holder(holder), bool(is_new), f"redis:{names[0]} {entry.decode()}")
            for holder, is_new, entry in answers
        ]


class UniqueKeys:
    """Reservations of unique keys, for who commits a job elsewhere before it is enqueued."""

    def __init__(self, client: RedisClient) -> None:
        self._reserve = script(client, _PACKAGE, "reserve")
        self._release = script(client, _PACKAGE, "release")

    async def reserve(self, job: Envelope, *, for_: timedelta) -> Holder | None:
        """None when the key is this job's, at least for so long; else who has it."""
        for_ms, prefix = round(for_.total_seconds() * 1000), job_of(job.attributes[HANDLER], "")
        held = await self._reserve([_unique_key(job)], [job.id, for_ms, prefix])
        return _holder(held) if held else None

    async def release(self, job: Envelope) -> None:
        """Give back what is reserved for this job; a key that it has for certain stays."""
        await self._release([_unique_key(job)], [job.id])


def _unique_key(job: Envelope) -> str:
    key = job.attributes.get(UNIQUE_KEY)
    return unique_of(job.attributes[HANDLER], key) if key else ""


def _unique_ms(job: Envelope) -> int:
    """How long its key is its own from now on; by the clock of this machine, as the end of it was."""
    until = job.attributes.get(UNIQUE_UNTIL)
    if until is None or UNIQUE_KEY not in job.attributes:
        return 0
    return max(0, round((from_rfc3339(until) - datetime.now(UTC)).total_seconds() * 1000))


def _holder(answer: bytes) -> Holder:
    text = answer.decode()
    return Holder(text.removeprefix(_IN_DOUBT), is_certain=not text.startswith(_IN_DOUBT))


def by_handler(jobs: Sequence[Envelope]) -> dict[str, list[Envelope]]:
    """The jobs of each handler."""
    found: defaultdict[str, list[Envelope]] = defaultdict(list)
    for job in jobs:
        found[job.attributes[HANDLER]].append(job)
    return found
