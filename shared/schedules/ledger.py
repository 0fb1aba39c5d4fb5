"""The ledger of ticks: what became of each, written once; and read, newest first."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ARRAY, Row, Text, cast, func, select, true
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.schedules.definition import Definition
from shared.schedules.misfire import Cause, Decided, Due
from shared.schedules.tables import ticks
from shared.schedules.times import event_id


class TickEntry(NamedTuple):
    """A tick that was decided."""

    tick: datetime
    type: str
    cause: str
    fired: bool
    due_at: datetime
    decided_at: datetime
    event_id: str | None
    published_at: datetime | None
    detail: str | None


_COLUMNS = [ticks.c[name] for name in TickEntry._fields]


def tick_row(
    definition: Definition, decided: Decided, *, now: datetime, detail: str | None = None
) -> dict[str, Any]:
    """The row of a decided tick."""
    due, is_fired = decided.due, decided.is_fired
    return {
        "schedule": definition.name,
        "tick": due.tick,
        "type": definition.type,
        "cause": decided.cause.value,
        "fired": is_fired,
        "due_at": due.fires_at,
        "decided_at": now,
        "event_id": str(event_id(definition.name, due.tick)) if is_fired else None,
        "open": is_fired and definition.overlap == "skip",
        "detail": detail,
    }


async def claim(connection: AsyncConnection, rows: Sequence[dict[str, Any]]) -> set[tuple[str, datetime]]:
    """Enter the ticks; returns (schedule, tick) of those that nobody had entered before."""
    if not rows:
        return set()
    claiming = insert(ticks).on_conflict_do_nothing().returning(ticks.c.schedule, ticks.c.tick)
    return {(row.schedule, row.tick) for row in await connection.execute(claiming, list(rows))}


async def run_by_hand(connection: AsyncConnection, definition: Definition, now: datetime) -> bool:
    """Enter a tick of this instant that somebody asked for; False when the schedule had one just then."""
    row = tick_row(definition, Decided(Due(now, now), Cause.BY_HAND), now=now)
    return bool(await claim(connection, [row | {"published_at": now}]))


async def page(
    connection: AsyncConnection, schedule: str, *, before: datetime | None, limit: int
) -> list[TickEntry]:
    """The schedule's ticks, newest first, those before that one."""
    query = select(*_COLUMNS).where(ticks.c.schedule == schedule).order_by(ticks.c.tick.desc()).limit(limit)
    if before is not None:
        query = query.where(ticks.c.tick < before)
    return [_entry(row) for row in await connection.execute(query)]


async def latest(connection: AsyncConnection, names: Sequence[str]) -> dict[str, TickEntry]:
    """The latest tick of each of the schedules that had one."""
    named = func.unnest(cast(list(names), ARRAY(Text))).table_valued("name")
    last = select(*_COLUMNS).where(ticks.c.schedule == named.c.name).order_by(ticks.c.tick.desc()).limit(1)
    one = last.lateral("latest")
    rows = await connection.execute(select(named.c.name, *one.columns).select_from(named.join(one, true())))
    return {row[0]: TickEntry(*row[1:]) for row in rows}


async def open_among(connection: AsyncConnection, names: Sequence[str]) -> set[str]:
    """Those of the schedules that have a tick whose jobs have not ended."""
    query = select(ticks.c.schedule).where(ticks.c.open, ticks.c.schedule.in_(names)).distinct()
    return set(await connection.scalars(query))


def _entry(row: Row[Any]) -> TickEntry:
    return TickEntry(*row)
