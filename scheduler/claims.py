"""One round of the scheduler: what is due in Postgres in; ticks, events and next ticks in one commit out.

The time is `now()` of the database: a replica whose own clock is wrong claims what the others would. Locked
rows are left to who has them; that a tick is one is held by the primary key of the ledger alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, bindparam, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from scheduler.planning import Plan, plan
from shared.contracts import Envelope
from shared.errors import ContractError
from shared.schedules import Cause, Decided, Definition, TimingError, book, ledger, tick_event
from shared.schedules.tables import outbox, schedules
from shared.telemetry import Tracing, get_logger

SCHEDULES_A_ROUND: Final = 50

_DUE: Final = (
    select(schedules, func.now().label("now"))
    .where(schedules.c.fires_at <= func.now())
    .order_by(schedules.c.fires_at)
    .limit(SCHEDULES_A_ROUND)
    .with_for_update(skip_locked=True)
)
_UNTIL_NEXT: Final = select(func.min(schedules.c.fires_at) - func.clock_timestamp())
_ADVANCE: Final = (
    update(schedules)
    .where(schedules.c.name == bindparam("schedule"))
    .values(next_at=bindparam("tick"), fires_at=bindparam("due_at"))
)
_STOP: Final = (
    update(schedules)
    .where(schedules.c.name == bindparam("schedule"))
    .values(next_at=None, fires_at=None, paused_at=func.now(), note=bindparam("why"))
)

Tick = dict[str, Any]
"""A decided tick as a row of the ledger."""
Key = tuple[str, datetime]

log = get_logger()


class Claims:
    """Decides what is due; any number of replicas may do so at once."""

    def __init__(self, engine: AsyncEngine, tracing: Tracing) -> None:
        self._engine = engine
        self._tracing = tracing

    async def round(self) -> list[Tick]:
        """Decide the ticks of the schedules that are due, all in one commit; returns those."""
        async with self._engine.begin() as connection:
            rows = (await connection.execute(_DUE)).all()
            if not rows:
                return []
            now: datetime = rows[0].now
            plans = await _plans(connection, rows, now)
            ticks, events = _entries(plans, now)
            ours = await ledger.claim(connection, ticks)
            await self._enter(connection, [(key, event) for key, event in events.items() if key in ours])
            await _advance(connection, plans)
        claimed = [tick for tick in ticks if _key(tick) in ours]
        _tell(claimed)
        return claimed

    async def until_next(self) -> timedelta | None:
        """How long until a schedule is due, by the clock of the database; None when none will be."""
        async with self._engine.begin() as connection:
            return (await connection.execute(_UNTIL_NEXT)).scalar_one_or_none()

    async def _enter(self, connection: AsyncConnection, events: Iterable[tuple[Key, Envelope]]) -> None:
        """Put the events into the outbox, each with the trace that it begins."""
        rows = [
            {
                "id": event.id,
                "type": event.type,
                "source": event.source,
                "attributes": event.attributes | {"traceparent": self._tracing.create(event.type, event.id)},
                "data": event.data,
                "schedule": schedule,
                "tick": tick,
            }
            for (schedule, tick), event in events
        ]
        if rows:
            await connection.execute(insert(outbox), rows)


async def _plans(connection: AsyncConnection, rows: Sequence[Row[Any]], now: datetime) -> list[Plan]:
    """What each of the schedules does now; one whose times are none any more is paused."""
    entries = [book.entry_of(row) for row in rows]
    watched = [entry.definition.name for entry in entries if entry.definition.overlap == "skip"]
    open_ = await ledger.open_among(connection, watched) if watched else set[str]()
    plans: list[Plan] = []
    for entry in entries:
        name = entry.definition.name
        try:
            plans.append(plan(entry, now=now, is_open=name in open_))
        except TimingError as error:
            log.error("schedule.stopped", schedule=name, field=error.field, why=str(error))  # noqa: TRY400 - a setting, no defect
            why = f"{error.field}: {error}; correct it, then resume the schedule"
            await connection.execute(_STOP, {"schedule": name, "why": why})
    return plans


def _entries(plans: Sequence[Plan], now: datetime) -> tuple[list[Tick], Mapping[Key, Envelope]]:
    """The ticks as the ledger is to have them, and the events of those that fire."""
    ticks: list[Tick] = []
    events: dict[Key, Envelope] = {}
    for definition, decided, _ in plans:
        for one in decided:
            event, tick = _entry(definition, one, now)
            ticks.append(tick)
            if event is not None:
                events[_key(tick)] = event
    return ticks, events


def _entry(definition: Definition, decided: Decided, now: datetime) -> tuple[Envelope | None, Tick]:
    if not decided.is_fired:
        return None, ledger.tick_row(definition, decided, now=now)
    try:
        event = tick_event(definition, decided.due.tick, now=now)
    except ContractError as error:
        # The contract may have changed since the schedule was written.
        invalid = decided._replace(cause=Cause.INVALID)
        return None, ledger.tick_row(definition, invalid, now=now, detail=str(error))
    return event, ledger.tick_row(definition, decided, now=now)


async def _advance(connection: AsyncConnection, plans: Sequence[Plan]) -> None:
    rows = [
        {
            "schedule": definition.name,
            "tick": upcoming.tick if upcoming else None,
            "due_at": upcoming.fires_at if upcoming else None,
        }
        for definition, _, upcoming in plans
    ]
    if rows:
        await connection.execute(_ADVANCE, rows)


def _key(tick: Tick) -> Key:
    return tick["schedule"], tick["tick"]


def _tell(claimed: Sequence[Tick]) -> None:
    """What went as it should is debug: a schedule of every second would fill the log."""
    for tick in claimed:
        is_usual = tick["cause"] in {Cause.ON_TIME, Cause.PAUSED}
        (log.debug if is_usual else log.warning)(
            "schedule.fired" if tick["fired"] else "schedule.skipped",
            schedule=tick["schedule"],
            tick=tick["tick"].isoformat(),
            cause=tick["cause"],
            event_id=tick["event_id"],
        )
