"""The retries of one handler that are due, moved into its queue by whichever worker sees them first."""

import asyncio
from contextlib import suppress
from datetime import timedelta

from shared.bus.availability import Availability
from shared.bus.redis_streams import UNAVAILABLE
from shared.jobs.store import JobStore
from shared.telemetry import get_logger

_LOOK_EVERY = timedelta(seconds=1)
_LEAST_S = 0.005


class DueRetries:
    """Looks once a second, and sooner when it knows of a retry that is due sooner."""

    def __init__(self, store: JobStore, handler: str) -> None:
        self._store = store
        self._handler = handler
        self._sooner = asyncio.Event()
        self._availability = Availability(get_logger().bind(handler=handler), "job.due")

    def expect(self, wait: timedelta) -> None:
        """A retry will be due after `wait`."""
        if wait < _LOOK_EVERY:
            self._sooner.set()

    async def run(self) -> None:
        """Move what is due, until cancelled."""
        while True:
            wait = await self._move()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._sooner.wait(), timeout=max(wait.total_seconds(), _LEAST_S))
            self._sooner.clear()

    async def _move(self) -> timedelta:
        try:
            moved, until_next = await self._store.move_due(self._handler)
        except UNAVAILABLE as error:
            self._availability.lost(error)
            return _LOOK_EVERY
        self._availability.back()
        if moved:
            return timedelta(0)
        return min(until_next, _LOOK_EVERY) if until_next is not None else _LOOK_EVERY
