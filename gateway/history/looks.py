"""Where a list of jobs looks: a filter in, one ordered query for each place with an index of its own out."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Select, Text, bindparam, column, func, select, text, true
from sqlalchemy.dialects.postgresql import ARRAY, TEXT

from gateway.history.history_table import INSTANT, JOBS, QUEUED_UTC
from gateway.history.job_filter import Cursor, Filter, places_of
from shared.jobs import State

# A plan that is made for any values does not know which of them are few.
PLAN_FOR_THESE_VALUES: Final = text("SET LOCAL plan_cache_mode = force_custom_plan")

_OWNERS: Final[dict[str, Column[Any]]] = {
    "worker": JOBS.c.worker,
    "error": JOBS.c.error_type,
    "handler": JOBS.c.handler,
    "service": JOBS.c.service,
}
"""Whose jobs are indexed by state and time; the one that has the fewest jobs comes first."""


def looks_for(
    wanted: Filter,
    filters: Sequence[ColumnElement[bool]],
    *,
    at: Column[Any],
    after: Cursor | None,
    named: Sequence[str] = (),
    newest_first: Sequence[ColumnElement[Any]],
    most: int,
) -> list[Select[*tuple[Any, ...]]]:
    """Queries for the ids of at most `most` jobs each, all of which the list needs; none where one look does.

    `filters` hold for all of them, `at` is what the list is sorted by; `named` are the handlers that the
    filter's text names.
    """
    if wanted.text is not None:
        looks = [
            select(JOBS.c.id).where(*filters, place).order_by(*newest_first).limit(most)
            for place in places_of(wanted.text)
        ]
        if named:
            in_order = [*filters, *_bounds(wanted, after)]
            looks.append(_of_each_state(JOBS.c.handler, named, wanted.state, in_order, most=most))
        return looks
    owner = next((name for name in _OWNERS if getattr(wanted, name) is not None), None)
    if owner is None or at is not JOBS.c.queued_at:
        return []
    in_order = [*filters, *_bounds(wanted, after)]
    return [_of_each_state(_OWNERS[owner], [getattr(wanted, owner)], wanted.state, in_order, most=most)]


def _of_each_state(
    owner: Column[Any],
    names: Sequence[str],
    state: State | None,
    filters: Sequence[ColumnElement[bool]],
    *,
    most: int,
) -> Select[*tuple[Any, ...]]:
    """The newest jobs of these owners in each state: so they stand in the index.

    Ordered by an expression that no other index has: by the index of all jobs by time Postgres would look
    through all of them for a state that the owner has no job in.
    """
    owned = _values("owned", names)
    states = _values("states", [one.value for one in ([state] if state else State)])
    newest = (
        select(JOBS.c.id)
        .where(owner == owned.c.value, JOBS.c.state == states.c.value, *filters)
        .order_by(QUEUED_UTC.desc(), JOBS.c.id.desc())
        .limit(most)
        .lateral("newest")
    )
    return select(newest.c.id).select_from(owned.join(states, true()).join(newest, true()))


def _bounds(wanted: Filter, after: Cursor | None) -> list[ColumnElement[bool]]:
    """The instants of the filter and of the page before, as the index knows them."""
    found: list[ColumnElement[bool]] = []
    if wanted.since is not None:
        found.append(_utc(wanted.since) <= QUEUED_UTC)
    if wanted.until is not None:
        found.append(_utc(wanted.until) > QUEUED_UTC)
    if after is not None:
        found.append(_utc(after.at) >= QUEUED_UTC)
    return found


def _utc(instant: datetime) -> ColumnElement[datetime]:
    return func.timezone("UTC", bindparam(None, instant, INSTANT))


def _values(name: str, values: Sequence[str]) -> Any:
    return (
        func.unnest(bindparam(None, list(values), ARRAY(TEXT)))
        .table_valued(column("value", Text), name=name)
        .render_derived()
    )
