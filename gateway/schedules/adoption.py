"""Events that the scheduler has published: taken from its outbox in, entries of the ledger out.

So what is promised of accepted events holds for ticks, too: what a bus loses is queued again.
"""

import asyncio
import random
from datetime import timedelta
from typing import Final, Self

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.ledger.away import away
from gateway.ledger.ending import end
from shared.telemetry import get_logger

EVERY: Final = timedelta(seconds=1)
_BATCH: Final = 500

# Two gateways at once each take rows of their own. An event whose jobs were seen sooner is there already.
_ADOPT: Final = text("""
    WITH published AS (
        SELECT id FROM scheduler.outbox WHERE published_at IS NOT NULL
        ORDER BY id LIMIT :batch FOR UPDATE SKIP LOCKED
    ), taken AS (
        DELETE FROM scheduler.outbox USING published WHERE outbox.id = published.id RETURNING outbox.*
    ), adopted AS (
        INSERT INTO gateway.events (id, type, source, attributes, data, accepted_at, published_at, place)
        SELECT id, type, source, attributes, data, published_at, published_at, place FROM taken ORDER BY id
        ON CONFLICT (id) DO NOTHING
    )
    SELECT count(*) FROM taken
""")


class Adoption:
    """Enters the events of ticks into the ledger, again and again while it is entered."""

    def __init__(self, engine: AsyncEngine, *, every: timedelta = EVERY) -> None:
        self._engine = engine
        self._every = every
        self._task: asyncio.Task[None] | None = None
        self._log = get_logger()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._adopt_for_ever(), name="adoption")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            await end(self._task)

    async def adopt(self) -> int:
        """Enter all that is published, each batch in a commit of its own; returns how many it was."""
        total = 0
        while True:
            async with self._engine.begin() as connection:
                taken: int = (await connection.execute(_ADOPT, {"batch": _BATCH})).scalar_one()
            total += taken
            if taken < _BATCH:
                return total

    async def _adopt_for_ever(self) -> None:
        failures = 0
        while True:
            pause = self._every * min(2**failures, 60)
            await asyncio.sleep(pause.total_seconds() * random.uniform(0.75, 1.25))  # noqa: S311 - jitter, no secret
            try:
                await self.adopt()
            except Exception as error:  # noqa: BLE001 - a loop: the next round tries again
                failures = min(failures + 1, 6)
                if away(error) is None:
                    self._log.exception("adoption.failed")
            else:
                failures = 0
