"""What the scheduler takes from the bus: cleanup in, a ledger of ticks within its bounds out."""

from datetime import timedelta
from typing import Final, NamedTuple

from sqlalchemy import CursorResult, text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.contracts import CleanupDue
from shared.jobs import Handlers

_TOO_OLD: Final = text("""
    DELETE FROM scheduler.ticks WHERE decided_at < now() - CAST(:age AS interval) AND NOT open
""")
_TOO_MANY: Final = text("""
    DELETE FROM scheduler.ticks USING (
        SELECT schedule, (
            SELECT tick FROM scheduler.ticks AS newer WHERE newer.schedule = named.schedule
            ORDER BY tick DESC OFFSET :kept LIMIT 1
        ) AS tick
        FROM (SELECT DISTINCT schedule FROM scheduler.ticks) AS named
    ) AS last
    WHERE ticks.schedule = last.schedule AND ticks.tick <= last.tick AND NOT open
""")

# A gateway takes them within a second; where there is none, nobody does.
_LEFT: Final = text("DELETE FROM scheduler.outbox WHERE published_at < now() - interval '1 day'")

handlers = Handlers("scheduler")


class Keeping(NamedTuple):
    """How much of the ledger is kept."""

    age: timedelta
    ticks: int
    """Of one schedule."""


@handlers.on(CleanupDue)
async def cleanup(_: CleanupDue, engine: AsyncEngine, keeping: Keeping) -> dict[str, int]:
    """Remove the ticks that the ledger need not keep."""
    async with engine.begin() as connection:
        old: CursorResult[tuple[()]] = await connection.execute(_TOO_OLD, {"age": keeping.age})
        many: CursorResult[tuple[()]] = await connection.execute(_TOO_MANY, {"kept": keeping.ticks})
        await connection.execute(_LEFT)
    return {"ticks_removed": old.rowcount + many.rowcount}
