"""The history of jobs in Postgres: ids or a filter in, jobs out in the shape of the REST API."""

from base64 import b64encode
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import Column, ColumnElement, Row, case, select, union
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.history.history_table import FINGERPRINT, JOBS
from gateway.history.job_filter import Cursor, Filter, conditions, is_after, is_state
from gateway.history.looks import PLAN_FOR_THESE_VALUES, looks_for
from shared.clock import rfc3339
from shared.jobs import State

_ONLY_DEAD: Final = frozenset({"event", "raw", "channel"})
_NEVER_SHOWN: Final = frozenset({"position", "error_type", "failure", "fingerprint", "frame"})
_FINGERPRINT: Final = case((is_state(State.DEAD), FINGERPRINT)).label("fingerprint")
_SHOWN_DEAD: Final[list[ColumnElement[Any]]] = [
    *(column for column in JOBS.columns if column.name not in _NEVER_SHOWN),
    _FINGERPRINT,
]
_SHOWN: Final = [column for column in _SHOWN_DEAD if column.key not in _ONLY_DEAD]


class Page(NamedTuple):
    """Jobs, newest first, and where the next page begins; None when this is the last."""

    items: list[dict[str, Any]]
    next: Cursor | None


class History:
    """Reads what the recorder wrote. Raises what SQLAlchemy raises when Postgres is away."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def get(self, job_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Those of the jobs that have been recorded, by id."""
        known = [job_id for job_id in job_ids if "\0" not in job_id]
        if not known:
            return {}
        rows = await self._rows(select(*_SHOWN).where(JOBS.c.id.in_(known)))
        return {row.id: _job(row) for row in rows}

    async def of_event(self, event_id: UUID) -> dict[str, dict[str, Any]]:
        """The recorded jobs of an event, by id."""
        rows = await self._rows(select(*_SHOWN).where(JOBS.c.event_id == event_id))
        return {row.id: _job(row) for row in rows}

    async def of_events(self, event_ids: Sequence[UUID]) -> dict[str, dict[str, dict[str, Any]]]:
        """The recorded jobs of each of these events: by the event's id, then by the job's."""
        found: dict[str, dict[str, dict[str, Any]]] = {}
        for row in await self._rows(select(*_SHOWN).where(JOBS.c.event_id.in_(event_ids))):
            job = _job(row)
            found.setdefault(job["event_id"], {})[job["id"]] = job
        return found

    async def page(
        self, wanted: Filter, *, after: Cursor | None, limit: int, named: Sequence[str] = ()
    ) -> Page:
        """A page of jobs, newest first.

        A search by text also finds the jobs of the handlers in `named`.
        """
        rows = await self._newest(_SHOWN, wanted, JOBS.c.queued_at, after=after, limit=limit, named=named)
        return _page([_job(row) for row in rows], [row.queued_at for row in rows], limit)

    async def dead_letter(self, job_id: str) -> dict[str, Any] | None:
        """The dead job with what it was about; None when there is no dead job of this id."""
        if "\0" in job_id:
            return None
        wanted = select(*_SHOWN_DEAD).where(JOBS.c.id == job_id, is_state(State.DEAD))
        rows = await self._rows(wanted)
        return _dead_letter(rows[0]) if rows else None

    async def dead_letters(self, wanted: Filter, *, after: Cursor | None, limit: int) -> Page:
        """A page of dead jobs with what they were about, the last to die first."""
        dead = msgspec.structs.replace(wanted, state=State.DEAD)
        rows = await self._newest(_SHOWN_DEAD, dead, JOBS.c.finished_at, after=after, limit=limit)
        return _page([_dead_letter(row) for row in rows], [row.finished_at for row in rows], limit)

    async def _newest(
        self,
        columns: Sequence[ColumnElement[Any]],
        wanted: Filter,
        at: Column[Any],
        *,
        after: Cursor | None,
        limit: int,
        named: Sequence[str] = (),
    ) -> Sequence[Row[Any]]:
        """One row more than the page holds, newest by `at` first."""
        newest_first = (at.desc(), JOBS.c.id.desc())
        filters = conditions(wanted, at=at)
        if after is not None:
            filters.append(is_after(after, at=at, newest_first=True))
        query = select(*columns).order_by(*newest_first).limit(limit + 1)
        looks = looks_for(
            wanted, filters, at=at, after=after, named=named, newest_first=newest_first, most=limit + 1
        )
        if not looks:
            return await self._rows(query.where(*filters))
        # One ordered look for each place, not one look with OR: Postgres would go through all jobs for that.
        async with self._engine.begin() as connection:
            await connection.execute(PLAN_FOR_THESE_VALUES)
            return (await connection.execute(query.where(JOBS.c.id.in_(union(*looks))))).all()

    async def _rows(self, query: Any) -> Sequence[Row[Any]]:
        async with self._engine.connect() as connection:
            return (await connection.execute(query)).all()


def _page(items: list[dict[str, Any]], instants: Sequence[datetime], limit: int) -> Page:
    """One item more than the page holds was read, to know whether another page follows."""
    if len(items) <= limit:
        return Page(items, None)
    return Page(items[:limit], Cursor(instants[limit - 1], items[limit - 1]["id"]))


def _job(row: Row[Any]) -> dict[str, Any]:
    """The same members as those of a job from Redis."""
    return {
        "id": row.id,
        "handler": row.handler,
        "service": row.service,
        "state": row.state,
        "attempt": row.attempt,
        "max_attempts": row.max_attempts,
        "progress": row.progress,
        "result": row.result,
        "error": row.error,
        "reason": row.reason,
        "queued_at": _text(row.queued_at),
        "started_at": _text(row.started_at),
        "finished_at": _text(row.finished_at),
        "due_at": _text(row.due_at),
        "worker": row.worker,
        "trace_id": row.trace_id,
        "event_id": row.id.rpartition(":")[2],
        "event_type": row.event_type,
        "attempts": row.attempts or [],
        "caused": row.caused or [],
        "fingerprint": row.fingerprint,
    }


def _dead_letter(row: Row[Any]) -> dict[str, Any]:
    """The job with its event, or with the bytes that were none."""
    return {
        **_job(row),
        "event": msgspec.Raw(row.event) if row.event else None,
        "raw": b64encode(row.raw).decode() if row.raw else None,
        "channel": row.channel,
    }


def _text(instant: datetime | None) -> str | None:
    return rfc3339(instant) if instant else None
