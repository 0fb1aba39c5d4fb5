"""The limits of one handler in, how many of its jobs this process may take on now out."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from shared.jobs.limits import Limits
from shared.jobs.store import Verdict
from shared.telemetry import get_logger

# Of many that can run, a quarter is taken at a time: Redis claims the next while these run.
_WHOLE_MOST = 32
# Where limits may refuse, no more is taken at a time than this: what one worker holds, no other can start.
_HELD_MOST = 16
# A held job may be cancelled, or too late by now; whoever claims it again learns of it.
_ASK_AGAIN_S = 1.0


class Room:
    """Keeps one worker within its own limit; those of all workers together are the claim's to keep."""

    def __init__(self, handler: str, code: Limits) -> None:
        self._code = code
        self._limits = code
        self._taken = 0
        self._is_closed = False
        self._freed = asyncio.Event()
        self._limits_changed = asyncio.Event()
        self._log = get_logger().bind(handler=handler)

    def limit(self, said: Limits) -> None:
        """What an operator says of the handler's limits now; of what is left out, the code decides."""
        limits = said.over(self._code)
        if limits == self._limits:
            return
        self._limits = limits
        self._log.info(
            "handler.limits",
            paused=limits.paused,
            concurrency=limits.concurrency,
            worker_concurrency=limits.worker_concurrency,
            rate=limits.rate,
        )
        self._stir()

    @property
    def may_refuse(self) -> bool:
        """Whether a claim may be told that a job must not start yet."""
        return self._limits.may_refuse

    def take(self, jobs: int) -> None:
        """So many are claimed, or run."""
        self._taken += jobs

    def give_back(self, jobs: int) -> None:
        """So many do not run, or have ended."""
        self._taken -= jobs
        self._freed.set()

    def close(self) -> None:
        """Nobody waits any more."""
        self._is_closed = True
        self._stir()

    async def for_messages(self) -> int:
        """How many messages to read now; waits until one can run, and while the handler is paused."""
        while self._limits.paused and not self._is_closed:
            self._limits_changed.clear()
            await self._limits_changed.wait()
        free = await self.for_jobs()
        if self.may_refuse:
            return min(free, _HELD_MOST)
        return min(free, max(_WHOLE_MOST, self._most() // 4))

    async def for_jobs(self) -> int:
        """How many more jobs can run here now; waits until one can."""
        while (free := self._most() - self._taken) <= 0 and not self._is_closed:
            self._freed.clear()
            await self._freed.wait()
        return max(free, 1)

    async def until_worth_asking(self, refused: Sequence[Verdict]) -> None:
        """Wait for the next start that the rate allows, for one of our jobs to end, for other limits."""
        wait_s = min(max(verdict.wait_ms for verdict in refused) / 1000, _ASK_AGAIN_S)
        is_full = any(verdict.limit == b"concurrency" for verdict in refused)
        news = self._freed if is_full else self._limits_changed
        if self._is_closed:
            return
        news.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(news.wait(), timeout=wait_s)

    def _most(self) -> int:
        return self._limits.worker_concurrency or 1

    def _stir(self) -> None:
        self._limits_changed.set()
        self._freed.set()
