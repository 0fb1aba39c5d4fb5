"""The table gateway.reports: requests and their ends in, reports as they stand out.

A report of which nobody asked the gateway (a schedule's) is entered when it ends: its end says what it is.
"""

from datetime import date, datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.history.job_filter import Cursor
from shared.contracts import ReportFailed, ReportFormat, ReportKind, ReportReady, ReportRequested

FOLDER: Final = "reports/"
"""Where in the object store reports lie. An event that names another place is not believed."""

_MAKER: Final = "report.generate"
"""Whose job it is to make a report: where it is dead, nobody will say any more how the report ended."""

_ENTER: Final = text("""
    INSERT INTO gateway.reports (
        id, kind, format, first_day, last_day, user_id, email_to, status, event_id
    ) VALUES (:id, :kind, :format, :first_day, :last_day, :user_id, :email_to, 'requested', :event_id)
    RETURNING *
""")
_ENDED: Final = """
    status = :status, reason = :reason, rows = :rows, size_bytes = :size_bytes, media_type = :media_type,
    file_key = :file_key, name = :name, ended_at = now()
"""
# What is ready stays so; what failed may be ready after another run.
_END_KNOWN: Final = text(
    f"UPDATE gateway.reports SET {_ENDED} WHERE id = :id AND status <> 'ready' RETURNING id"  # noqa: S608 - constants
)
_ENTER_ENDED: Final = text("""
    INSERT INTO gateway.reports (
        id, kind, format, first_day, last_day, user_id,
        status, reason, rows, size_bytes, media_type, file_key, name, ended_at
    ) VALUES (
        :id, :kind, :format, :first_day, :last_day, :user_id,
        :status, :reason, :rows, :size_bytes, :media_type, :file_key, :name, now()
    ) ON CONFLICT (id) DO NOTHING RETURNING id
""")
# The job that makes it may be dead, and then run again: so this is looked up, not written down.
_SELECT: Final = """
    SELECT report.*, job.state AS job_state, split_part(job.failure, E'\\n', 1) AS job_failure
    FROM gateway.reports report
    LEFT JOIN gateway.jobs job
           ON report.status = 'requested' AND job.event_id = report.event_id AND job.handler = :maker
          AND job.state IN ('dead', 'cancelled', 'expired')
"""
_FIND: Final = text(_SELECT + " WHERE report.id = :id").bindparams(maker=_MAKER)
_PAGE: Final = text(
    _SELECT
    + """
    WHERE (CAST(:kind AS text) IS NULL OR report.kind = :kind)
      AND (CAST(:after_at AS timestamptz) IS NULL
           OR (report.requested_at, report.id) < (CAST(:after_at AS timestamptz), :after_id))
    ORDER BY report.requested_at DESC, report.id DESC LIMIT :limit
"""
)

_FORGET: Final = text("DELETE FROM gateway.reports WHERE requested_at < now() - CAST(:age AS interval)")


class Report(NamedTuple):
    """A report as it stands; `reason` says why it failed."""

    id: str
    kind: ReportKind
    format: ReportFormat
    first_day: date
    last_day: date
    user_id: str | None
    email_to: str | None
    status: str
    reason: str | None
    rows: int | None
    size_bytes: int | None
    media_type: str | None
    file_key: str | None
    name: str | None
    event_id: str | None
    requested_at: datetime
    ended_at: datetime | None


class ReportBook:
    """Reads and writes the table."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._reads = engine.execution_options(isolation_level="AUTOCOMMIT")

    async def finish(self, ended: ReportReady | ReportFailed) -> bool:
        """Enter how a report ended; False when that was known, or nobody can know which report it is."""
        values = {"id": ended.report_id, **_end(ended)}
        async with self._engine.begin() as connection:
            if (await connection.execute(_END_KNOWN, values)).first() is not None:
                return True
            if not all((ended.kind, ended.format, ended.first_day, ended.last_day)):
                return False
            return (await connection.execute(_ENTER_ENDED, {**values, **_about(ended)})).first() is not None

    async def forget(self, *, older_than: timedelta) -> int:
        """Remove reports that were asked for longer ago; returns how many. Files are not touched."""
        async with self._engine.begin() as connection:
            return (await connection.execute(_FORGET, {"age": older_than})).rowcount

    async def find(self, id_: str) -> Report | None:
        """The report; None when nobody asked for one of this id."""
        async with self._reads.connect() as connection:
            row = (await connection.execute(_FIND, {"id": id_})).one_or_none()
        return _report(row) if row is not None else None

    async def page(
        self, *, kind: ReportKind | None, after: Cursor | None, limit: int
    ) -> tuple[list[Report], Cursor | None]:
        """A page of reports, newest first, and where the next one begins."""
        values = {
            "maker": _MAKER,
            "kind": kind,
            "after_at": after.at if after else None,
            "after_id": after.job_id if after else None,
            "limit": limit + 1,
        }
        async with self._reads.connect() as connection:
            rows = (await connection.execute(_PAGE, values)).all()
        reports = [_report(row) for row in rows[:limit]]
        has_more = len(rows) > limit
        return reports, Cursor(reports[-1].requested_at, reports[-1].id) if has_more else None


async def enter(connection: AsyncConnection, request: ReportRequested, *, event_id: str) -> Report:
    """Enter a report that was asked for, in the transaction of its event."""
    values = {
        "id": request.report_id,
        "email_to": request.email_to,
        "event_id": event_id,
        **_about(request),
    }
    row = (await connection.execute(_ENTER, values)).one()
    return _report(row)


def _about(report: ReportRequested | ReportReady | ReportFailed) -> dict[str, Any]:
    return {
        "kind": report.kind,
        "format": report.format,
        "first_day": report.first_day,
        "last_day": report.last_day,
        "user_id": report.user_id,
    }


def _end(ended: ReportReady | ReportFailed) -> dict[str, Any]:
    nothing = dict.fromkeys(("reason", "rows", "size_bytes", "media_type", "file_key", "name"))
    if isinstance(ended, ReportFailed):
        return nothing | {"status": "failed", "reason": ended.reason.replace("\0", "")}
    if not ended.file_key.startswith(FOLDER):
        reason = f"report.ready names {ended.file_key!r}, which is not below {FOLDER}"
        return nothing | {"status": "failed", "reason": reason}
    return nothing | {
        "status": "ready",
        "rows": ended.rows,
        "size_bytes": ended.size_bytes,
        "media_type": ended.media_type,
        "file_key": ended.file_key,
        "name": ended.name,
    }


def _report(row: Any) -> Report:
    """Of one whose job is dead: failed, for as long as it is."""
    values = {name: row._mapping[name] for name in Report._fields}  # noqa: SLF001 - a public part of SQLAlchemy
    values["event_id"] = str(row.event_id) if row.event_id else None
    job_state = row._mapping.get("job_state")  # noqa: SLF001 - the same
    if job_state is not None:
        values["status"] = "failed"
        values["reason"] = f"its job is {job_state}: {row.job_failure or 'by order'}"
    return Report(**values)
