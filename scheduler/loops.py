"""The loops of a scheduler: claim what is due, publish it, watch its jobs; until the process is to end.

Each goes on whatever happens to Postgres or a bus: what it failed to do, its next round does.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from scheduler.claims import SCHEDULES_A_ROUND, Claims, Tick
from scheduler.open_ticks import OpenTicks
from scheduler.outbox import Outbox
from shared.health import NotReady
from shared.schedules import Cause
from shared.telemetry import get_logger

_SOONEST: Final = timedelta(milliseconds=20)
"""The pause when what is due belongs to another replica just now."""
_WATCH_EVERY: Final = timedelta(milliseconds=250)
_ROUND_LIMIT: Final = timedelta(seconds=30)
"""A Postgres that says nothing for so long counts as away."""
_LONGEST_PAUSE: Final = timedelta(seconds=5)

log = get_logger()


class Loops:
    """Run by `run()` until `stop()`; `seed` is done once, before the first claim."""

    def __init__(
        self,
        claims: Claims,
        outbox: Outbox,
        open_ticks: OpenTicks,
        *,
        seed: Callable[[], Awaitable[None]],
        poll: timedelta,
    ) -> None:
        self._claims = claims
        self._outbox = outbox
        self._open_ticks = open_ticks
        self._seed = seed
        self._is_seeded = False
        self._poll = poll
        self._ending = asyncio.Event()
        self._claimed = asyncio.Event()
        self._is_claiming = False
        self.counts = {"fired": 0, "late": 0, "skipped": 0}
        """Ticks that this process decided since its start."""
        self.lateness_s = 0.0
        """How late the last tick that was on time was claimed."""

    async def run(self) -> None:
        """Work until stop(); what was claimed by then is published, if its bus answers."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch())
            publishing = tasks.create_task(self._publish())
            await self._claim()
            self._claimed.set()
            await publishing

    def stop(self) -> None:
        """Make run() return soon."""
        self._ending.set()

    async def check(self) -> None:
        """Ready is who claims: NotReady when the last round failed, or none has been."""
        if not self._is_claiming:
            raise NotReady("cannot claim ticks")

    async def _claim(self) -> None:
        failures = 0
        while not self._ending.is_set():
            try:
                async with asyncio.timeout(_ROUND_LIMIT.total_seconds()):
                    pause = await self._claim_once()
            except Exception as error:  # noqa: BLE001 - a loop: the next round tries again
                failures += 1
                self._is_claiming = False
                if failures == 1:
                    log.warning("scheduler.stuck", error=repr(error))
                await self._pause(min(self._poll * failures, _LONGEST_PAUSE))
                continue
            if failures:
                log.info("scheduler.goes_on")
            failures, self._is_claiming = 0, True
            await self._pause(pause)

    async def _claim_once(self) -> timedelta:
        """One round, and the pause after it."""
        if not self._is_seeded:
            await self._seed()
            self._is_seeded = True
        claimed = await self._claims.round()
        if claimed:
            self._count(claimed)
            self._claimed.set()
        if len({tick["schedule"] for tick in claimed}) == SCHEDULES_A_ROUND:
            return timedelta(0)
        left = await self._claims.until_next()
        return self._poll if left is None else min(max(left, _SOONEST), self._poll)

    def _count(self, claimed: list[Tick]) -> None:
        for tick in claimed:
            self.counts["fired" if tick["fired"] else "skipped"] += 1
            self.counts["late"] += tick["cause"] == Cause.LATE
            if tick["cause"] == Cause.ON_TIME:
                self.lateness_s = (tick["decided_at"] - tick["due_at"]).total_seconds()

    async def _publish(self) -> None:
        """As soon as something was claimed; also what other replicas left behind."""
        failures, is_last = 0, False
        while not is_last:
            is_last = self._ending.is_set()
            try:
                async with asyncio.timeout(_ROUND_LIMIT.total_seconds()):
                    await self._outbox.publish()
                failures = failures + 1 if self._outbox.waiting else 0
            except Exception as error:  # noqa: BLE001 - a loop: the next round tries again
                failures += 1
                if failures == 1:
                    log.warning("scheduler.cannot_publish", error=repr(error))
            if not is_last:
                await self._until_claimed(min(self._poll * max(failures, 1), _LONGEST_PAUSE))

    async def _watch(self) -> None:
        failures = 0
        while not self._ending.is_set():
            pause = self._poll
            try:
                async with asyncio.timeout(_ROUND_LIMIT.total_seconds()):
                    is_open = await self._open_ticks.close_ended() > 0
                if is_open:
                    pause = min(_WATCH_EVERY, self._poll)
                failures = 0
            except Exception as error:  # noqa: BLE001 - a loop: the next round tries again
                failures += 1
                if failures == 1:
                    log.warning("scheduler.cannot_watch", error=repr(error))
                pause = min(self._poll * failures, _LONGEST_PAUSE)
            await self._pause(pause)

    async def _until_claimed(self, longest: timedelta) -> None:
        try:
            async with asyncio.timeout(longest.total_seconds()):
                await self._claimed.wait()
        except TimeoutError:
            return
        self._claimed.clear()

    async def _pause(self, length: timedelta) -> None:
        """Until the end, or so long; by the loop's clock, which nobody can put."""
        try:
            async with asyncio.timeout(length.total_seconds()):
                await self._ending.wait()
        except TimeoutError:
            return
