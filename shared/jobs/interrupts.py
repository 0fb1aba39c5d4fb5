"""In a child process: the clock and the parent's order in, an exception in the handler out.

Both come as signals, for only a signal interrupts a loop that computes or a call that blocks. The exception
is raised in the handler's code, never in ours: outside a job it is dropped, while a frame is sent it waits.
What an extension in C does without coming back to Python is not interrupted; the parent kills it in time.
"""

import asyncio
import os
import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta

from shared.jobs.outcomes import TimeLimitExceeded

# An async handler is first told by its loop; the signal is for one that does not let the loop turn.
_LOOP_FIRST = timedelta(milliseconds=250)
_NO_JOB = 0


class Interrupts:
    """The signals of this process, whose main thread makes it. Jobs are known by numbers from 1 on."""

    def __init__(self) -> None:
        self._running = _NO_JOB
        self._ordered = _NO_JOB
        self._limit = timedelta(0)
        self._task: asyncio.Task[object] | None = None
        self._is_held = False
        self._waiting: BaseException | None = None
        signal.signal(signal.SIGALRM, self._on_time_limit)
        signal.signal(signal.SIGUSR1, self._on_order)
        # The parent decides when we end. Not SIG_IGN: what a handler starts would inherit that.
        for ignored in (signal.SIGINT, signal.SIGTERM):
            signal.signal(ignored, _ignore)

    def begin(self, job: int, limit: timedelta, *, task: "asyncio.Task[object] | None" = None) -> None:
        """The handler's code runs from here on, at most for `limit`; `task` is that of an async one."""
        self._limit, self._task, self._running = limit, task, job
        after = limit if task is None else limit + _LOOP_FIRST
        signal.setitimer(signal.ITIMER_REAL, after.total_seconds())
        if self._ordered == job:
            raise asyncio.CancelledError

    def end(self) -> None:
        """The handler's code is left."""
        self._running = _NO_JOB
        self._task = None
        signal.setitimer(signal.ITIMER_REAL, 0)

    def order(self, job: int) -> None:
        """Cancel this job, now or when it begins; to be called in any other thread."""
        self._ordered = job
        os.kill(os.getpid(), signal.SIGUSR1)

    def is_ordered(self, job: int) -> bool:
        """Whether the job was to be cancelled."""
        return self._ordered == job

    @contextmanager
    def held(self) -> Generator[None]:
        """Nothing is raised inside; what came meanwhile is raised at its end."""
        if self._is_held or threading.current_thread() is not threading.main_thread():
            yield
            return
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False
            waiting, self._waiting = self._waiting, None
        if waiting is not None and self._running != _NO_JOB:
            raise waiting

    def _on_time_limit(self, *_: object) -> None:
        if self._task is None or _a_task_computes(self._task):
            self._interrupt(TimeLimitExceeded(self._limit))

    def _on_order(self, *_: object) -> None:
        if self._ordered != self._running:
            return
        if self._task is None or _a_task_computes(self._task):
            self._interrupt(asyncio.CancelledError())
        else:
            self._task.get_loop().call_soon_threadsafe(self._task.cancel)

    def _interrupt(self, error: BaseException) -> None:
        if self._is_held:
            self._waiting = error
        elif self._running != _NO_JOB:
            raise error


def _a_task_computes(task: "asyncio.Task[object]") -> bool:
    """Whether the loop is inside a step of a task: what is raised now is raised in that task's code."""
    return asyncio.current_task(task.get_loop()) is not None


def _ignore(*_: object) -> None:
    """Do nothing."""
