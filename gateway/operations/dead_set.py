"""What a replay goes through: a filter in, the dead jobs that match it out, in the order of their deaths."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.history.history_table import JOBS
from gateway.history.job_filter import Cursor, Filter, conditions, is_after, is_state, places_of
from shared.jobs import State

SAMPLE: Final = 10

_IN_ORDER: Final = (JOBS.c.finished_at, JOBS.c.id)


class DeadCount(NamedTuple):
    """How many dead jobs a filter matches, by what, and the first of them."""

    matched: int
    by_handler: dict[str, int]
    by_reason: dict[str, int]
    sample: Sequence[str]


async def count_dead(connection: AsyncConnection, wanted: Filter) -> DeadCount:
    """Count the dead jobs of now; `sample` are the ids that a replay would begin with."""
    dead = that_are_dead(wanted)
    counted = select(JOBS.c.handler, JOBS.c.reason, func.count().label("jobs")).where(*dead)
    groups = (await connection.execute(counted.group_by(JOBS.c.handler, JOBS.c.reason))).all()
    first = select(JOBS.c.id).where(*dead).order_by(*_IN_ORDER).limit(SAMPLE)
    sample = (await connection.execute(first)).scalars().all() if groups else ()
    by_handler: dict[str, int] = {}
    by_reason: dict[str, int] = {}
    for group in sorted(groups, key=lambda group: -group.jobs):
        by_handler[group.handler] = by_handler.get(group.handler, 0) + group.jobs
        reason = group.reason or "unknown"
        by_reason[reason] = by_reason.get(reason, 0) + group.jobs
    return DeadCount(sum(by_handler.values()), by_handler, by_reason, list(sample))


async def next_dead(
    connection: AsyncConnection, wanted: Filter, *, before: datetime, after: Cursor | None, limit: int
) -> list[Cursor]:
    """The places of the next jobs that died before that instant."""
    query = select(*_IN_ORDER).where(*that_are_dead(wanted), JOBS.c.finished_at < before)
    if after is not None:
        query = query.where(is_after(after, at=JOBS.c.finished_at, newest_first=False))
    rows = (await connection.execute(query.order_by(*_IN_ORDER).limit(limit))).all()
    return [Cursor(row.finished_at, row.id) for row in rows]


def that_are_dead(wanted: Filter) -> list[ColumnElement[bool]]:
    """The dead jobs that pass the filter, as conditions."""
    found = [is_state(State.DEAD), *conditions(wanted, at=JOBS.c.finished_at)]
    if wanted.text is not None:
        found.append(or_(*places_of(wanted.text)))
    return found
