"""Expired answers to requests with an Idempotency-Key: removed, a bounded batch at a time."""

import asyncio
import random
from datetime import timedelta
from typing import Final, Self

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.ledger.away import away
from gateway.ledger.ending import end
from shared.telemetry import get_logger

EVERY: Final = timedelta(minutes=1)
BATCH: Final = 1000

# Two gateways at once each take rows of their own.
_REMOVE: Final = text("""
    DELETE FROM gateway.idempotency_keys WHERE (principal, key) IN (
        SELECT principal, key FROM gateway.idempotency_keys WHERE expires_at <= now()
        ORDER BY expires_at LIMIT :batch FOR UPDATE SKIP LOCKED
    )
""")


class Expiry:
    """Removes what has expired, again and again while it is entered."""

    def __init__(self, engine: AsyncEngine, *, every: timedelta = EVERY, batch: int = BATCH) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._every = every
        self._batch = batch
        self._task: asyncio.Task[None] | None = None
        self._log = get_logger()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._sweep_for_ever(), name="expiry")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            await end(self._task)

    async def sweep(self) -> int:
        """Remove all that has expired, each batch in a commit of its own; returns how many it was."""
        total = 0
        async with self._engine.connect() as connection:
            while True:
                removed = (await connection.execute(_REMOVE, {"batch": self._batch})).rowcount
                total += removed
                if removed < self._batch:
                    return total

    async def _sweep_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._every.total_seconds() * random.uniform(0.75, 1.25))  # noqa: S311 - jitter, no secret
            try:
                removed = await self.sweep()
            except Exception as error:  # noqa: BLE001 - a loop: the next round tries again
                if away(error) is None:
                    self._log.exception("expiry.failed")
            else:
                if removed:
                    self._log.info("expiry.removed", answers=removed)
