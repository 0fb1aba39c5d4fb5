"""What becomes due for one handler: waits that are over are queued, cancellations and limits handed on.

Every worker of the handler looks; whoever sees a job first moves it.
"""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta

from shared.bus.availability import Availability
from shared.bus.redis_streams import UNAVAILABLE
from shared.jobs.limits import Limits
from shared.jobs.store import JobStore
from shared.telemetry import get_logger

_LOOK_EVERY = timedelta(seconds=1)
_LEAST_S = 0.005
# All handlers of a process look at the same instant: it wakes once for them, and asks Redis with one write.
# Processes look at different ones: Redis is not asked by all of them at once.
_PHASE_S = random.random()  # noqa: S311 - no secret


class DueJobs:
    """Looks once a second, and sooner when it knows of a wait that is over sooner."""

    def __init__(
        self,
        store: JobStore,
        handler: str,
        cancel: Callable[[Sequence[str]], None],
        limit: Callable[[Limits], None],
    ) -> None:
        self._store = store
        self._handler = handler
        self._cancel = cancel
        self._limit = limit
        self._sooner = asyncio.Event()
        self._availability = Availability(get_logger().bind(handler=handler), "job.due")

    def expect(self, wait: timedelta) -> None:
        """A job will be due after `wait`."""
        if wait < _LOOK_EVERY:
            self._sooner.set()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            wait_s = min((await self.look()).total_seconds(), _until_next_look_s())
            with suppress(TimeoutError):
                await asyncio.wait_for(self._sooner.wait(), timeout=max(wait_s, _LEAST_S))
            self._sooner.clear()

    async def look(self) -> timedelta:
        """Do what is due; returns how long to wait before looking again."""
        try:
            due = await self._store.move_due(self._handler)
        except UNAVAILABLE as error:
            self._availability.lost(error)
            return _LOOK_EVERY
        self._availability.back()
        self._limit(due.limits)
        if due.to_cancel:
            self._cancel(due.to_cancel)
        if due.moved:
            return timedelta(0)
        return min(due.until_next, _LOOK_EVERY) if due.until_next is not None else _LOOK_EVERY


def _until_next_look_s() -> float:
    every_s = _LOOK_EVERY.total_seconds()
    return every_s - (time.monotonic() - _PHASE_S) % every_s
