"""How many jobs a filter matches in each state: a filter in, one query out whose counts stop at a cap.

A page shows "10,000 or more" as well as a larger number, and nobody waits for a million rows to be counted.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Select, Text, cast, func, literal, select, true, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.history.history_table import JOBS
from gateway.history.job_filter import Filter, conditions, places_of
from gateway.history.looks import PLAN_FOR_THESE_VALUES
from gateway.history.unclaimed import is_named, some_unclaimed
from shared.jobs import HandlerRecord, State

CAP: Final = 10_000
"""A count of so many means that many or more."""

_ONE: Final = literal(1).label("one")


async def count_by_state(
    connection: AsyncConnection, wanted: Filter, handlers: Sequence[HandlerRecord], *, cap: int = CAP
) -> dict[str, int]:
    """The jobs in each state, recorded or not claimed yet; each count stops at `cap`. In a transaction."""
    states = State if wanted.state is None else (wanted.state,)
    counts = [_counted(state, _recorded(wanted, state, handlers, cap)) for state in states]
    unclaimed = some_unclaimed(wanted, handlers, most=cap)
    if unclaimed is not None:
        counts.append(_counted(State.QUEUED, unclaimed))
    await connection.execute(PLAN_FOR_THESE_VALUES)
    found = dict.fromkeys((state.value for state in State), 0)
    # One statement, so one view of both tables: a job that is claimed just now is in one of them.
    for state, jobs in await connection.execute(union_all(*counts)):
        found[state] = min(found[state] + jobs, cap)
    return found


async def count_by_handler(
    connection: AsyncConnection,
    wanted: Filter,
    states: Sequence[State],
    handlers: Sequence[HandlerRecord],
    *,
    cap: int = CAP,
) -> dict[tuple[str, str], int]:
    """The jobs in these states by handler and state, all together no more than `cap`. In a transaction."""
    looks = [_recorded(wanted, state, handlers, cap, (JOBS.c.handler, JOBS.c.state)) for state in states]
    unclaimed = some_unclaimed(wanted, handlers, most=cap) if State.QUEUED in states else None
    if unclaimed is not None:
        waiting = unclaimed.subquery()
        looks.append(select(waiting.c.handler, cast(literal(State.QUEUED.value), Text).label("state")))
    if not looks:
        return {}
    some = select(union_all(*looks).subquery()).limit(cap).subquery()
    counted = select(some.c.handler, some.c.state, func.count()).group_by(some.c.handler, some.c.state)
    await connection.execute(PLAN_FOR_THESE_VALUES)
    return {(handler, state): jobs for handler, state, jobs in await connection.execute(counted)}


def _counted(state: State, jobs: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    return select(cast(literal(state.value), Text), func.count()).select_from(jobs.subquery())


def _recorded(
    wanted: Filter,
    state: State,
    handlers: Iterable[HandlerRecord],
    most: int,
    columns: Sequence[ColumnElement[Any]] = (_ONE,),
) -> Select[*tuple[Any, ...]]:
    """A row for each recorded job in that state, at most so many."""
    filters = conditions(msgspec.structs.replace(wanted, state=state), at=JOBS.c.queued_at)
    if wanted.text is None:
        return select(*columns).where(*filters).select_from(JOBS).limit(most)
    named = [JOBS.c.handler == one.name for one in handlers if is_named(one, wanted.text)]
    places = [*named, *reversed(places_of(wanted.text))]
    # One after the other, each without what those before it have: it ends as soon as there are enough.
    looks = [
        select(*columns)
        .select_from(JOBS)
        .where(*filters, place, *(one.is_not(true()) for one in places[:before]))
        for before, place in enumerate(places)
    ]
    return select(union_all(*looks).subquery()).limit(most)
