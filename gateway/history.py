"""The history of jobs in Postgres: ids or a filter in, jobs out in the shape of the REST API."""

from base64 import b64encode, urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ColumnElement,
    DateTime,
    Integer,
    LargeBinary,
    MetaData,
    Row,
    Table,
    Text,
    Uuid,
    bindparam,
    select,
    tuple_,
)
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.clock import from_rfc3339, rfc3339
from shared.jobs import State

_Instant = DateTime(timezone=True)

JOBS: Final = Table(
    "jobs",
    MetaData(schema="gateway"),
    Column("id", Text, primary_key=True),
    Column("handler", Text),
    Column("service", Text),
    Column("event_id", Uuid),
    Column("event_type", Text),
    Column("state", Text),
    Column("attempt", Integer),
    Column("max_attempts", Integer),
    Column("worker", Text),
    Column("queued_at", _Instant),
    Column("started_at", _Instant),
    Column("finished_at", _Instant),
    Column("due_at", _Instant),
    Column("progress", JSON),
    Column("result", JSON),
    Column("error", JSON),
    Column("attempts", JSON),
    Column("caused", JSON),
    Column("reason", Text),
    Column("trace_id", Text),
    Column("event", LargeBinary),
    Column("raw", LargeBinary),
    Column("channel", Text),
    Column("position", BigInteger),
)
_ONLY_DEAD: Final = frozenset({"event", "raw", "channel"})
_SHOWN: Final = [column for column in JOBS.columns if column.name not in _ONLY_DEAD | {"position"}]
_SHOWN_DEAD: Final = [column for column in JOBS.columns if column.name != "position"]


class Cursor(NamedTuple):
    """The last job of a page; the next page begins after it."""

    queued_at: datetime
    job_id: str

    def encode(self) -> str:
        """The cursor as clients carry it."""
        return urlsafe_b64encode(f"{rfc3339(self.queued_at)} {self.job_id}".encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> "Cursor":
        """What encode() wrote; ValueError for anything else."""
        try:
            plain = urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
            at, separator, job_id = plain.partition(" ")
            cursor = cls(from_rfc3339(at), job_id)
        except (Base64Error, ValueError) as error:
            raise ValueError("is no cursor of ours; take the `next` of a page") from error
        if not separator or "\0" in job_id or cursor.encode() != text:
            raise ValueError("is no cursor of ours; take the `next` of a page")
        return cursor


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which jobs a list shows; None lets all pass. `since` and `until` (exclusive) are about queued_at."""

    state: State | None = None
    handler: str | None = None
    service: str | None = None
    event_id: UUID | None = None
    reason: str | None = None
    since: datetime | None = None
    until: datetime | None = None


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

    async def page(self, wanted: Filter, *, after: Cursor | None, limit: int) -> Page:
        """A page of jobs, newest first."""
        rows = await self._page_rows(_SHOWN, wanted, after, limit)
        return _page([_job(row) for row in rows], rows, limit)

    async def dead_letter(self, job_id: str) -> dict[str, Any] | None:
        """The dead job with what it was about; None when there is no dead job of this id."""
        if "\0" in job_id:
            return None
        wanted = select(*_SHOWN_DEAD).where(JOBS.c.id == job_id, _is_state(State.DEAD))
        rows = await self._rows(wanted)
        return _dead_letter(rows[0]) if rows else None

    async def dead_letters(self, wanted: Filter, *, after: Cursor | None, limit: int) -> Page:
        """A page of dead jobs with what they were about, newest first."""
        dead = msgspec.structs.replace(wanted, state=State.DEAD)
        rows = await self._page_rows(_SHOWN_DEAD, dead, after, limit)
        return _page([_dead_letter(row) for row in rows], rows, limit)

    async def _page_rows(
        self, columns: Sequence[Column[Any]], wanted: Filter, after: Cursor | None, limit: int
    ) -> Sequence[Row[Any]]:
        newest_first = (JOBS.c.queued_at.desc(), JOBS.c.id.desc())
        query = select(*columns).where(*_conditions(wanted, after)).order_by(*newest_first)
        return await self._rows(query.limit(limit + 1))

    async def _rows(self, query: Any) -> Sequence[Row[Any]]:
        async with self._engine.connect() as connection:
            return (await connection.execute(query)).all()


def _conditions(wanted: Filter, after: Cursor | None) -> list[ColumnElement[bool]]:
    conditions = [
        JOBS.c[name] == value
        for name in ("handler", "service", "event_id", "reason")
        if (value := getattr(wanted, name)) is not None
    ]
    if wanted.state is not None:
        conditions.append(_is_state(wanted.state))
    if wanted.since is not None:
        conditions.append(JOBS.c.queued_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(JOBS.c.queued_at < wanted.until)
    if after is not None:
        place = tuple_(bindparam(None, after.queued_at, _Instant), bindparam(None, after.job_id, Text))
        conditions.append(tuple_(JOBS.c.queued_at, JOBS.c.id) < place)
    return conditions


def _is_state(state: State) -> ColumnElement[bool]:
    """The state as a literal: with a parameter no plan may use the partial index of the states."""
    return JOBS.c.state == bindparam(None, state.value, Text, literal_execute=True)


def _page(items: list[dict[str, Any]], rows: Sequence[Row[Any]], limit: int) -> Page:
    """One row more than the page holds was read, to know whether another page follows."""
    if len(rows) <= limit:
        return Page(items, None)
    last = rows[limit - 1]
    return Page(items[:limit], Cursor(last.queued_at, last.id))


def _job(row: Row[Any]) -> dict[str, Any]:
    """The same members as JobRecord.to_api(), in the same order."""
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
