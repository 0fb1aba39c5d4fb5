"""Jobs that no worker has claimed yet: accepted events in, their queued jobs out, newest first.

Nobody writes such a job down: it follows from the event, which is in the ledger, and from the handlers.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    and_,
    bindparam,
    cast,
    collate,
    column,
    func,
    not_,
    select,
    true,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY, TEXT
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.history.history_table import INSTANT, JOBS
from gateway.history.job_filter import Cursor, Filter, uuid_of
from gateway.ledger.later import due_at
from gateway.tables import events
from shared.clock import rfc3339
from shared.jobs import HandlerRecord, State, keys
from shared.telemetry import trace_id_of


class Unclaimed:
    """Reads the ledger. Raises what SQLAlchemy raises when Postgres is away."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def newest(
        self, wanted: Filter, handlers: Sequence[HandlerRecord], *, after: Cursor | None, limit: int
    ) -> list[dict[str, Any]]:
        """At most `limit` of the unclaimed jobs of these handlers that pass the filter, newest first."""
        by_name = {handler.name: handler for handler in _sought(wanted, handlers)}
        if not by_name:
            return []
        query = _newest(wanted, list(by_name.values()), after, limit)
        async with self._engine.connect() as connection:
            rows = (await connection.execute(query)).all()
        return [
            queued(
                by_name[row.handler],
                row.event_id,
                queued_at=rfc3339(row.accepted_at),
                due_at=due_at(row.held_until),
                trace_id=trace_id_of(row.traceparent),
            )
            for row in rows
        ]


def some_unclaimed(
    wanted: Filter, handlers: Sequence[HandlerRecord], *, most: int
) -> Select[*tuple[Any, ...]] | None:
    """The query for at most so many of these jobs, in any order; None when the filter lets none pass."""
    sought = _sought(wanted, handlers)
    if not sought:
        return None
    handler, candidates = _candidates(wanted, sought, None)
    return candidates.select_from(handler.join(events, events.c.type == handler.c.type)).limit(most)


def is_named(handler: HandlerRecord, text: str) -> bool:
    """Whether the text is a part of the handler's name or of its event type."""
    return text.lower() in handler.name.lower() or text.lower() in handler.event_type.lower()


def queued(
    handler: HandlerRecord,
    event_id: str,
    *,
    queued_at: str | None = None,
    due_at: str | None = None,
    trace_id: str | None = None,
) -> dict[str, Any]:
    """The job of a handler that knows nothing of it yet, with the members of any other."""
    return {
        "id": keys.job_id(handler.name, event_id),
        "handler": handler.name,
        "service": handler.service,
        "state": State.QUEUED.value,
        "attempt": 0,
        "max_attempts": handler.max_attempts,
        "progress": None,
        "result": None,
        "error": None,
        "reason": None,
        "queued_at": queued_at,
        "started_at": None,
        "finished_at": None,
        "due_at": due_at,
        "worker": None,
        "trace_id": trace_id,
        "event_id": event_id,
        "event_type": handler.event_type,
        "attempts": [],
        "caused": [],
        "fingerprint": None,
    }


def _sought(wanted: Filter, handlers: Sequence[HandlerRecord]) -> list[HandlerRecord]:
    """The handlers whose unclaimed jobs the filter lets pass."""
    return [one for one in handlers if _is_sought(wanted, one)] if _could_be_unclaimed(wanted) else []


def _could_be_unclaimed(wanted: Filter) -> bool:
    """What only a claimed job can have is not asked for."""
    of_claimed = (wanted.worker, wanted.reason, wanted.error, wanted.fingerprint)
    return wanted.state in {None, State.QUEUED} and all(one is None for one in of_claimed)


def _is_sought(wanted: Filter, handler: HandlerRecord) -> bool:
    """Whether the filter asks for jobs of the handler; its text is an id of a job or event, or names one."""
    if wanted.handler not in {None, handler.name} or wanted.service not in {None, handler.service}:
        return False
    if wanted.text is None:
        return True
    name, _, event_id = wanted.text.rpartition(":")
    if uuid_of(event_id) is None:
        return is_named(handler, wanted.text)
    return name in {"", handler.name} and wanted.event_id in {None, uuid_of(event_id)}


def _newest(
    wanted: Filter, handlers: Sequence[HandlerRecord], after: Cursor | None, limit: int
) -> Select[*tuple[Any, ...]]:
    """Each handler's events in their order, as many as a page holds, for so they stand in the index."""
    handler, candidates = _candidates(wanted, handlers, after)
    newest_first = (events.c.accepted_at.desc(), candidates.selected_columns.job_id.desc())
    newest = (
        candidates.where(events.c.type == handler.c.type)
        .correlate(handler)
        .order_by(*newest_first)
        .limit(limit)
        .lateral("candidate")
    )
    columns = tuple(newest.c[name] for name in ("event_id", "accepted_at", "held_until", "traceparent"))
    return (
        select(handler.c.name.label("handler"), *columns)
        .select_from(handler.join(newest, true()))
        .order_by(newest.c.accepted_at.desc(), newest.c.job_id.desc())
        .limit(limit)
    )


def _candidates(
    wanted: Filter, handlers: Sequence[HandlerRecord], after: Cursor | None
) -> tuple[Any, Select[*tuple[Any, ...]]]:
    """The handlers as a table, and the open events that are for each and that it did not claim."""
    names = bindparam(None, [handler.name for handler in handlers], ARRAY(TEXT))
    types = bindparam(None, [handler.event_type for handler in handlers], ARRAY(TEXT))
    handler = (
        func.unnest(names, types)
        .table_valued(column("name", Text), column("type", Text), name="handler")
        .render_derived()
    )
    job_id = collate(handler.c.name + ":" + cast(events.c.id, Text), "C")
    # An event that names a handler is for that one alone. Said so, Postgres expects it of few events, and
    # goes by the index instead of sorting all of them.
    for_another = and_(
        events.c.attributes.has_key("handler"), events.c.attributes["handler"].astext != handler.c.name
    )
    claimed = select(JOBS.c.id).where(JOBS.c.id == job_id).correlate(events, handler)
    return handler, select(
        handler.c.name.label("handler"),
        job_id.label("job_id"),
        cast(events.c.id, Text).label("event_id"),
        events.c.accepted_at,
        events.c.held_until,
        events.c.attributes["traceparent"].astext.label("traceparent"),
    ).where(
        events.c.settled_at.is_(None),
        not_(for_another),
        ~claimed.exists(),
        *_between(wanted, after, job_id),
    )


def _between(wanted: Filter, after: Cursor | None, job_id: ColumnElement[str]) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    event_id = wanted.event_id or uuid_of((wanted.text or "").rpartition(":")[2])
    if wanted.ids is not None:
        ids = {uuid_of(one.rpartition(":")[2]) for one in wanted.ids} - {None}
        found += [events.c.id.in_(str(id_) for id_ in ids), job_id.in_(wanted.ids)]
    if event_id is not None:
        found.append(events.c.id == str(event_id))
    if wanted.since is not None:
        found.append(events.c.accepted_at >= wanted.since)
    if wanted.until is not None:
        found.append(events.c.accepted_at < wanted.until)
    if after is not None:
        here = tuple_(bindparam(None, after.at, INSTANT), bindparam(None, after.job_id, Text))
        found.append(tuple_(events.c.accepted_at, job_id) < here)
    return found
