"""The log of jobs in Redis in, a bell out: views are drawn again when something has happened."""

import asyncio
import random
from contextlib import suppress
from datetime import timedelta
from typing import Final, Self

import structlog

from shared.jobs import JobLog

log = structlog.get_logger(__name__)

_BLOCK: Final = timedelta(seconds=2)
_PAUSE_S: Final = (0.5, 5.0)


class Bell:
    """Rings at each entry of the log. Without a log it seems to ring all the time: views go by the clock."""

    def __init__(self, log_of_jobs: JobLog | None) -> None:
        self._log = log_of_jobs
        self._rung = asyncio.Event()
        self._is_heard = False
        self._is_stopping = False
        self._task: asyncio.Task[None] | None = None
        self.count = 0

    async def __aenter__(self) -> Self:
        if self._log is not None:
            self._task = asyncio.create_task(self._listen(self._log), name="bell")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._is_stopping = True  # a cancellation that comes with an answer may be lost in the client
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def ring(self) -> None:
        """Something has happened, perhaps something that is in no log."""
        self.count += 1
        self._rung.set()
        self._rung = asyncio.Event()

    async def rings_after(self, count: int, *, limit_s: float) -> None:
        """Return when it has rung more often than that or the limit has passed; at once if nobody listens."""
        if not self._is_heard or self.count != count:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self._rung.wait()

    async def _listen(self, log_of_jobs: JobLog) -> None:
        pause_s, longest_s = _PAUSE_S
        while not self._is_stopping:
            try:
                place = await log_of_jobs.last_id()
                self._is_heard = True
                while not self._is_stopping:
                    entries = await log_of_jobs.read(place, block=_BLOCK)
                    if entries:
                        place = entries[-1][0]
                        self.ring()
                    pause_s = _PAUSE_S[0]
            except Exception as error:  # noqa: BLE001 -- a loop: whatever fails, views go by the clock meanwhile
                self._is_heard = False
                log.info("bell.silent", error=str(error))
                await asyncio.sleep(random.uniform(pause_s / 2, pause_s))  # noqa: S311 -- jitter, no secret
                pause_s = min(2 * pause_s, longest_s)
