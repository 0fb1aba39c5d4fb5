"""Endings of attempts in, written together and never dropped; then their messages are acknowledged."""

import asyncio
import random
from collections.abc import Sequence

from shared.bus import Coalescer
from shared.bus.availability import Availability
from shared.bus.redis_streams import UNAVAILABLE
from shared.jobs.store import Ending, JobStore
from shared.telemetry import get_logger

_MOST = 256
_BACKOFF_S = (0.05, 2.0)


class Finisher:
    """Ends the attempts of one handler: all that end in one turn of the loop go out as one call."""

    def __init__(self, store: JobStore, handler: str) -> None:
        self._store = store
        self._handler = handler
        self._coalescer: Coalescer[Ending, bool] = Coalescer(self._finish, most=_MOST)
        self._availability = Availability(get_logger().bind(handler=handler), "job.finish")

    def finish(self, ending: Ending) -> "asyncio.Future[bool]":
        """True when it is written, False when the job is another worker's by now."""
        return self._coalescer(ending)

    async def idle(self) -> None:
        """Return when every ending is written."""
        await self._coalescer.idle()

    async def _finish(self, endings: Sequence[Ending]) -> list[bool]:
        """Redis away is no reason to lose an ending: it is tried until it is written or the process ends."""
        backoff = _BACKOFF_S[0]
        while True:
            try:
                written = await self._store.finish(self._handler, endings)
            except UNAVAILABLE as error:
                self._availability.lost(error, jobs=len(endings))
                await asyncio.sleep(backoff * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
                backoff = min(backoff * 2, _BACKOFF_S[1])
            else:
                self._availability.back()
                return written
