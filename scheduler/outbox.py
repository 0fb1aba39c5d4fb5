"""Events of ticks on their way: rows of the outbox in, on their bus out; the same id on every try."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Row, func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.bus import Bus
from shared.contracts import Envelope
from shared.schedules.tables import outbox

_BATCH: Final = 200
_LIMIT_S: Final = 4.0
"""Within what Postgres allows an open transaction to be idle."""

_IS_WAITING: Final = outbox.c.published_at.is_(None)
_TYPES: Final = select(outbox.c.type).where(_IS_WAITING).distinct()
_WAITING: Final = select(func.count()).select_from(outbox).where(_IS_WAITING)
_PUBLISHED: Final = text("""
    WITH sent AS (
        UPDATE scheduler.outbox SET published_at = clock_timestamp(), place = there.place
        FROM unnest(CAST(:ids AS uuid[]), CAST(:places AS text[])) AS there (id, place)
        WHERE outbox.id = there.id
        RETURNING outbox.schedule, outbox.tick, outbox.published_at
    )
    UPDATE scheduler.ticks SET published_at = sent.published_at
    FROM sent WHERE (ticks.schedule, ticks.tick) = (sent.schedule, sent.tick)
""")


class Outbox:
    """Publishes what was committed; replicas leave each other's rows alone.

    What is published stays until a gateway has it in its ledger, or the cleanup finds it.
    """

    def __init__(self, engine: AsyncEngine, bus: Bus) -> None:
        self._engine = engine
        self._bus = bus
        self.waiting = 0
        """How many events were left after the last round."""

    async def publish(self) -> None:
        """Publish all that can be; a bus that is away holds up the types of its routes alone."""
        async with self._engine.begin() as connection:
            types = [*await connection.scalars(_TYPES)]
        for type_ in types:
            while await self._batch(type_) == _BATCH:
                pass
        async with self._engine.begin() as connection:
            self.waiting = (await connection.execute(_WAITING)).scalar_one() if types else 0

    async def _batch(self, type_: str) -> int:
        """How many of the type were published."""
        async with self._engine.begin() as connection:
            taking = (
                select(outbox)
                .where(_IS_WAITING, outbox.c.type == type_)
                .order_by(outbox.c.tick)
                .limit(_BATCH)
                .with_for_update(skip_locked=True)
            )
            rows = (await connection.execute(taking)).all()
            published = await self._hand_over(rows) if rows else {}
            if published:
                places = {"ids": [*published], "places": [*published.values()]}
                await connection.execute(_PUBLISHED, places)
        return len(published)

    async def _hand_over(self, rows: Sequence[Row[Any]]) -> dict[str, str]:
        try:
            async with asyncio.timeout(_LIMIT_S):
                return await self._bus.publish([_envelope(row) for row in rows])
        except TimeoutError:
            return {}


def _envelope(row: Row[Any]) -> Envelope:
    return msgspec.convert(
        {name: getattr(row, name) for name in Envelope.__struct_fields__}, Envelope, strict=False
    )
