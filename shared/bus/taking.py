"""The loop of every intake: takes again and again, outlives a lost bus, and repairs what was lost with it."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from structlog.typing import FilteringBoundLogger

from shared.bus.availability import Availability

_BACKOFF_S = (0.1, 2.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taking:
    """What one bus's intake has to say for itself."""

    take: Callable[[], Awaitable[None]]
    """Take what is there, waiting a moment for it."""
    repair: Callable[[], Awaitable[None]]
    """Make group or consumer again."""
    unavailable: tuple[type[Exception], ...]
    """What `take` raises when the bus is away."""
    is_lost: Callable[[Exception], bool]
    """Whether such an error says that group or consumer are gone."""
    availability: Availability
    log: FilteringBoundLogger

    async def run(self, is_running: Callable[[], bool]) -> None:
        """Take while it is running; between failures a wait with jitter, up to 2 s."""
        backoff = _BACKOFF_S[0]
        while is_running():
            try:
                await self.take()
            except self.unavailable as error:
                await self._mend(error)
            except Exception:
                self.log.exception("bus.intake_failed")
            else:
                self.availability.back()
                backoff = _BACKOFF_S[0]
                continue
            await asyncio.sleep(backoff * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            backoff = min(backoff * 2, _BACKOFF_S[1])

    async def _mend(self, error: Exception) -> None:
        if not self.is_lost(error):
            self.availability.lost(error)
            return
        self.log.error("bus.group_lost", error=str(error))
        with suppress(*self.unavailable):
            await self.repair()
