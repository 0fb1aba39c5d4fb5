"""Where a list of jobs looks: a filter in, one ordered query for each place with an index of its own out."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, Text, bindparam, column, func, select, text, true
from sqlalchemy.dialects.postgresql import ARRAY, TEXT

from gateway.history.history_table import JOBS
from gateway.history.job_filter import Filter, places_of
from shared.jobs import State

# A plan that is made for any values does not know which of them are few.
PLAN_FOR_THESE_VALUES: Final = text("SET LOCAL plan_cache_mode = force_custom_plan")

_OWNERS: Final = ("worker", "handler", "service")
"""Whose jobs are indexed by state and time; the one that has the fewest jobs comes first."""


def looks_for(
    wanted: Filter,
    filters: Sequence[ColumnElement[bool]],
    *,
    named: Sequence[str] = (),
    newest_first: Sequence[ColumnElement[Any]],
    most: int,
) -> list[Select[*tuple[Any, ...]]]:
    """Queries for the ids of at most `most` jobs each, all of which the list needs; none where one look does.

    `filters` hold for all of them; `named` are the handlers that the filter's text names.
    """
    if wanted.text is not None:
        looks = [
            select(JOBS.c.id).where(*filters, place).order_by(*newest_first).limit(most)
            for place in places_of(wanted.text)
        ]
        return [*looks, _of_each_state("handler", named, filters, newest_first, most)] if named else looks
    owner = next((name for name in _OWNERS if getattr(wanted, name) is not None), None)
    if owner is None or wanted.state is not None:
        return []
    return [_of_each_state(owner, [getattr(wanted, owner)], filters, newest_first, most)]


def _of_each_state(
    owner: str,
    names: Sequence[str],
    filters: Sequence[ColumnElement[bool]],
    newest_first: Sequence[ColumnElement[Any]],
    most: int,
) -> Select[*tuple[Any, ...]]:
    """The newest jobs of these owners in each state: so they stand in the index."""
    owned = _values("owned", names)
    states = _values("states", [state.value for state in State])
    newest = (
        select(JOBS.c.id)
        .where(JOBS.c[owner] == owned.c.value, JOBS.c.state == states.c.value, *filters)
        .order_by(*newest_first)
        .limit(most)
        .lateral("newest")
    )
    return select(newest.c.id).select_from(owned.join(states, true()).join(newest, true()))


def _values(name: str, values: Sequence[str]) -> Any:
    return (
        func.unnest(bindparam(None, list(values), ARRAY(TEXT)))
        .table_valued(column("value", Text), name=name)
        .render_derived()
    )
