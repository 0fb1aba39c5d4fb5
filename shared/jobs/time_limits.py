"""The attempts of one handler that run here in, the end of each that runs past its limits out."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

from shared.jobs.executor import Attempt
from shared.jobs.handlers import Handler

AttemptTask = asyncio.Task[Any]


class TimeLimits:
    """Cancels what runs past the time limit, abandons what runs on past the hard one.

    All attempts of a handler have the same limits, so that who began first is late first: one timer, set for
    that one, does for all. A handler in a child process is not in this loop; its child keeps its limits.
    """

    def __init__(
        self,
        handler: Handler,
        running: Callable[[], Sequence[tuple[AttemptTask, Attempt]]],
        abandon: Callable[[AttemptTask], None],
    ) -> None:
        self._soft_s = handler.time_limit.total_seconds()
        self._hard_s = handler.hard_limit.total_seconds()
        self._running = running
        self._abandon = abandon
        self._timer: asyncio.TimerHandle | None = None

    def watch(self) -> None:
        """An attempt begins; the timer is set, unless it is set for one that began before."""
        if self._timer is None:
            self._set(self._soft_s)

    def stop(self) -> None:
        """Nobody is late any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _set(self, wait_s: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(wait_s, self._look)

    def _look(self) -> None:
        self._timer = None
        now = time.monotonic()
        live = [(task, attempt) for task, attempt in self._running() if not attempt.is_abandoned]
        if live:
            self._set(min(self._left(task, attempt, now) for task, attempt in live))

    def _left(self, task: AttemptTask, attempt: Attempt, now: float) -> float:
        """How long until the next limit of the attempt; at one that is past, it is ended."""
        ran_s = now - attempt.in_handler_since if attempt.in_handler_since > 0 else 0.0
        if ran_s >= self._hard_s:
            self._abandon(task)
            return self._soft_s
        if ran_s < self._soft_s:
            return self._soft_s - ran_s
        if not attempt.is_late:
            attempt.is_late = True
            task.cancel()
        return self._hard_s - ran_s
