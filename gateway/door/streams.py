"""A job's changes as server-sent events: an id in, the bytes of an event stream out."""

from collections import Counter
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

import msgspec
from fastapi.sse import format_sse_event

from gateway.door.problem_kinds import TOO_MANY_STREAMS
from gateway.door.problems import Refused
from gateway.door.waiting import is_final
from gateway.history.jobs import Jobs
from gateway.history.live import LiveJobs

HEARTBEAT: Final = timedelta(seconds=15)
RETRY_AFTER_S: Final = 5


class StreamSlots:
    """How many streams each API key has open in this process."""

    def __init__(self, per_key: int = 5) -> None:
        self._per_key = per_key
        self._open: Counter[bytes] = Counter()

    @contextmanager
    def take(self, key: bytes) -> Generator[None]:
        """Hold a slot; Refused with 429 when the key has none left."""
        if self._open[key] >= self._per_key:
            raise Refused(
                TOO_MANY_STREAMS,
                f"this API key has {self._per_key} streams open",
                headers={"Retry-After": str(RETRY_AFTER_S)},
            )
        self._open[key] += 1
        try:
            yield
        finally:
            self._open[key] -= 1
            if not self._open[key]:
                del self._open[key]


async def follow(
    jobs: Jobs, live: LiveJobs, job_id: str, *, seen: str | None = None, heartbeat: timedelta = HEARTBEAT
) -> AsyncIterator[bytes]:
    """The job as it is, then each time that it changed, then `end`; a comment every `heartbeat` of silence.

    `seen` is the id of the last event that the client has (Last-Event-ID): what it knows is not sent again.
    A client that reads slowly misses states in between, never the last one. While Redis is away the
    stream stays open and silent.
    """
    with live.watch(job_id) as watch:
        told = await _known_to_client(jobs, live, job_id, seen)
        while not live.is_stopped:
            entry_id = live.position(job_id)
            try:
                job = await jobs.get(job_id)
            except Refused:
                job = told
            if job is not None and job != told:
                yield _event(_name(told, job), job, entry_id)
                told = job
            if told is not None and is_final(told):
                yield _event("end", None, entry_id)
                return
            if not await watch.changed(heartbeat):
                yield b": still here\n\n"


async def _known_to_client(
    jobs: Jobs, live: LiveJobs, job_id: str, seen: str | None
) -> dict[str, Any] | None:
    """The job as the client has it; None when what the client has is older, or nobody can tell.

    The log is looked at last: a change between the two looks is sent once too often, not once too little.
    """
    if seen is None:
        return None
    try:
        job = await jobs.get(job_id)
    except Refused:
        return None
    return None if await live.has_changed(job_id, seen) else job


def _name(told: dict[str, Any] | None, job: dict[str, Any]) -> str:
    """`progress` where only that moved, else `state`."""
    moved = told is not None and told["progress"] != job["progress"]
    is_same_state = told is not None and all(told[name] == job[name] for name in ("state", "attempt"))
    return "progress" if moved and is_same_state else "state"


def _event(name: str, job: dict[str, Any] | None, entry_id: str) -> bytes:
    data = msgspec.json.encode(job).decode() if job is not None else "{}"
    return format_sse_event(event=name, id=entry_id, data_str=data)
