"""The sweep over open groups: what the recorder could not see in its moment is seen here.

Two recorders may each miss what the other commits meanwhile, a gateway may die between two commits, an event
may be settled by who knows no groups. So a group is looked at again and again for as long as it is open.
"""

import asyncio
import random
from datetime import timedelta
from typing import Final, Self

from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.ledger import groups
from gateway.ledger.away import away
from gateway.ledger.ending import end
from gateway.ledger.ledger import HandOver
from shared.telemetry import get_logger

EVERY: Final = timedelta(seconds=2)
PAGE: Final = 20


class GroupSweep:
    """Looks at open groups while it is entered; any number of gateways may run one."""

    def __init__(self, engine: AsyncEngine, *, hand_over: HandOver, every: timedelta = EVERY) -> None:
        self._engine = engine
        self._hand_over = hand_over
        self._every = every
        self._task: asyncio.Task[None] | None = None
        self._log = get_logger()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._sweep_for_ever(), name="group_sweep")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            await end(self._task)

    async def sweep(self) -> int:
        """Look at each group that is due, a page at a time; returns how many it completed."""
        completed = 0
        while True:
            async with self._engine.begin() as connection:
                page = await groups.due(connection, every=self._every, page=PAGE)
            async with self._engine.begin() as connection:
                await groups.mark(connection, groups=page)
            async with self._engine.begin() as connection:
                following = await groups.complete(connection, page)
            self._hand_over(following)
            completed += len(following)
            if len(page) < PAGE:
                return completed

    async def _sweep_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._every.total_seconds() * random.uniform(0.75, 1.25))  # noqa: S311 - jitter, no secret
            try:
                completed = await self.sweep()
            except Exception as error:  # noqa: BLE001 - a loop: the next round tries again
                if away(error) is None:
                    self._log.exception("groups.sweep_failed")
            else:
                if completed:
                    self._log.info("groups.swept", completed=completed)
