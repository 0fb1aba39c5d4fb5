"""A blocked event loop, told with the stack that blocks it: no handler of the process runs meanwhile."""

import asyncio
import sys
import threading
import time
import traceback
from datetime import timedelta

from shared.telemetry.logs import get_logger

_LOOKS_PER_LIMIT = 2


class LoopWatch:
    """Looks from a thread of its own whether the loop still turns; one line for each time it does not."""

    def __init__(self, limit: timedelta) -> None:
        self._limit_s = limit.total_seconds()
        self._every_s = self._limit_s / _LOOKS_PER_LIMIT
        self._turned_at = 0.0
        self._turning: asyncio.Task[None] | None = None
        self._stopped = threading.Event()
        self._log = get_logger()

    async def start(self) -> None:
        """Begin to watch the running loop, which is this thread's."""
        self._turned_at = time.monotonic()
        self._turning = asyncio.create_task(self._turn())
        loop_thread = threading.get_ident()
        threading.Thread(target=self._watch, args=(loop_thread,), name="loop-watch", daemon=True).start()

    async def stop(self) -> None:
        """Watch no more."""
        self._stopped.set()
        if self._turning is not None:
            self._turning.cancel()

    async def _turn(self) -> None:
        while True:
            self._turned_at = time.monotonic()
            await asyncio.sleep(self._every_s)

    def _watch(self, loop_thread: int) -> None:
        told_of = 0.0
        looked_at = time.monotonic()
        while not self._stopped.wait(self._every_s):
            now, before = time.monotonic(), looked_at
            looked_at = now
            turned_at = self._turned_at
            # A process that was paused as a whole blocked nobody: this thread did not run either.
            was_paused = now - before > self._limit_s
            if was_paused or now - turned_at < self._limit_s or turned_at == told_of:
                continue
            told_of = turned_at
            self._tell(loop_thread, now - turned_at)

    def _tell(self, loop_thread: int, blocked_s: float) -> None:
        frame = sys._current_frames().get(loop_thread)  # noqa: SLF001 - the documented way to another thread's stack
        stack = "".join(traceback.format_stack(frame)) if frame is not None else ""
        self._log.warning(
            "loop.blocked",
            blocked_s=round(blocked_s, 3),
            stack=stack,
            hint="await it in a thread: asyncio.to_thread(...)",
        )
