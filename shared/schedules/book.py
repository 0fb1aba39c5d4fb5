"""Schedules in Postgres: read, added, edited, paused and removed within the caller's transaction.

Whoever writes takes the time from the database, the one clock that all processes share.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.schedules.definition import Definition
from shared.schedules.misfire import Due
from shared.schedules.tables import removed, schedules
from shared.schedules.times import jitter_of

_TIMES = frozenset({"cron", "every", "timezone", "starts_at", "ends_at"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A schedule as it stands in the book."""

    definition: Definition
    version: int
    """Counts the edits."""
    next_at: datetime | None
    """The next tick; None when there is none any more."""
    paused_at: datetime | None
    note: str | None
    created_at: datetime
    updated_at: datetime

    @property
    def status(self) -> str:
        """active, paused or ended."""
        if self.paused_at is not None:
            return "paused"
        return "active" if self.next_at is not None else "ended"


async def database_now(connection: AsyncConnection) -> datetime:
    """The instant at which the transaction began, by the clock that all share."""
    now: datetime = (await connection.execute(select(func.now()))).scalar_one()
    return now


async def find(connection: AsyncConnection, name: str, *, to_edit: bool = False) -> Entry | None:
    """The schedule of this name; `to_edit` keeps all others from changing it until the commit."""
    query = select(schedules).where(schedules.c.name == name)
    row = (await connection.execute(query.with_for_update() if to_edit else query)).one_or_none()
    return entry_of(row) if row else None


async def page(connection: AsyncConnection, *, after: str, limit: int) -> list[Entry]:
    """Schedules by name, those after that one."""
    query = select(schedules).where(schedules.c.name > after).order_by(schedules.c.name).limit(limit)
    return [entry_of(row) for row in await connection.execute(query)]


async def add(connection: AsyncConnection, definition: Definition) -> Entry | None:
    """Enter a new schedule; None when there is one of its name."""
    values = await _row(connection, definition)
    adding = insert(schedules).values(values).on_conflict_do_nothing().returning(schedules)
    row = (await connection.execute(adding)).one_or_none()
    if row is None:
        return None
    await connection.execute(delete(removed).where(removed.c.name == definition.name))
    return entry_of(row)


async def seed(connection: AsyncConnection, definitions: Sequence[Definition]) -> list[str]:
    """Enter those whose names nobody has entered or removed before; returns their names."""
    names = [definition.name for definition in definitions]
    gone = set(await connection.scalars(select(removed.c.name).where(removed.c.name.in_(names))))
    wanted = [definition for definition in definitions if definition.name not in gone]
    return [definition.name for definition in wanted if await add(connection, definition)]


async def edit(connection: AsyncConnection, entry: Entry, definition: Definition) -> Entry:
    """Put the new definition in the place of the old one; new times begin at this instant."""
    values = await _row(connection, definition)
    is_retimed = any(getattr(definition, name) != getattr(entry.definition, name) for name in _TIMES)
    if not is_retimed and entry.next_at is not None:
        values |= _next(definition, entry.next_at)
    del values["created_at"], values["version"]
    return await _change(connection, entry.definition.name, values)


async def pause(connection: AsyncConnection, name: str, note: str | None) -> Entry:
    """Skip its ticks from now on; `note` says why."""
    return await _change(connection, name, {"paused_at": func.now(), "note": note, "updated_at": func.now()})


async def resume(connection: AsyncConnection, entry: Entry) -> Entry:
    """Let its ticks fire again, from the next one on: those of the pause were decided as they came.

    One that was stopped, for its time zone was not known, begins anew at this instant.
    """
    values: dict[str, Any] = {"paused_at": None, "note": None, "updated_at": func.now()}
    definition = entry.definition
    if entry.next_at is None:
        values |= _next(definition, definition.timing.first_after(await database_now(connection)))
    return await _change(connection, definition.name, values)


async def remove(connection: AsyncConnection, name: str) -> None:
    """Take it out, for good: its name is remembered, so that no file brings it back."""
    await connection.execute(delete(schedules).where(schedules.c.name == name))
    values = {"name": name, "removed_at": func.now()}
    await connection.execute(insert(removed).values(values).on_conflict_do_nothing())


def entry_of(row: Row[Any]) -> Entry:
    """The entry in a row of `schedules`; what was checked when it was written is not checked again."""
    fields: dict[str, Any] = {name: getattr(row, name) for name in Definition.model_fields}
    return Entry(
        definition=Definition.model_construct(**fields),
        version=row.version,
        next_at=row.next_at,
        paused_at=row.paused_at,
        note=row.note,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def due_of(definition: Definition, tick: datetime) -> Due:
    """The tick with the instant at which it fires."""
    return Due(tick, tick + jitter_of(definition.name, tick, definition.jitter))


async def _row(connection: AsyncConnection, definition: Definition) -> dict[str, Any]:
    """The columns of a definition whose times begin now."""
    now = await database_now(connection)
    fields: dict[str, Any] = {name: getattr(definition, name) for name in Definition.model_fields}
    upcoming = _next(definition, definition.timing.first_after(now))
    return fields | upcoming | {"version": 1, "created_at": now, "updated_at": now}


def _next(definition: Definition, tick: datetime | None) -> dict[str, datetime | None]:
    if tick is None:
        return {"next_at": None, "fires_at": None}
    return {"next_at": tick.astimezone(UTC), "fires_at": due_of(definition, tick).fires_at}


async def _change(connection: AsyncConnection, name: str, values: dict[str, Any]) -> Entry:
    version: ColumnElement[int] = schedules.c.version + 1
    changing = update(schedules).where(schedules.c.name == name).values(**values, version=version)
    rows: Sequence[Row[Any]] = (await connection.execute(changing.returning(schedules))).all()
    return entry_of(rows[0])
