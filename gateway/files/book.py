"""The rows of files: uploads and what became of them in, views of them out."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, and_, case, delete, func, insert, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.files.upload import Upload
from gateway.history.history_table import JOBS
from gateway.tables import files
from shared.clock import rfc3339
from shared.contracts import FileProcessed, FileRejected

UPLOADED: Final = "uploaded"
REJECTED: Final = "rejected"

_PROCESS: Final = "file.process"
"""Whose job it is to look into a file: where it is dead, nobody will say any more what is in it."""

# The job may be dead, and then run again: so this is looked up, not written down.
_GIVEN_UP: Final = JOBS.c.id.is_not(None)
_STATUS: Final = case((_GIVEN_UP, REJECTED), else_=files.c.status)
_REASON: Final = case(
    (_GIVEN_UP, func.concat("its job is ", JOBS.c.state, ": ", func.split_part(JOBS.c.failure, "\n", 1))),
    else_=files.c.reason,
)
_WITH_JOB: Final = files.outerjoin(
    JOBS,
    and_(
        files.c.status == UPLOADED,
        JOBS.c.event_id == files.c.event_id,
        JOBS.c.handler == _PROCESS,
        JOBS.c.state.in_(("dead", "cancelled", "expired")),
    ),
)
_DERIVED: Final = {"status": _STATUS.label("status"), "reason": _REASON.label("reason")}
_SEEN: Final = tuple(_DERIVED.get(column.name, column) for column in files.c)
_LISTED: Final = tuple(column for column in _SEEN if column.name not in {"profile", "artifacts"})
_ENTERED: Final = tuple(column for column in files.c if column.name not in {"profile", "artifacts"})


class FileRow(NamedTuple):
    """A file as the door needs it to send its bytes."""

    id: str
    name: str
    media_type: str
    size_bytes: int
    sha256: str
    artifacts: Sequence[Mapping[str, Any]]


async def enter(connection: AsyncConnection, upload: Upload, *, event_id: str) -> dict[str, Any]:
    """Write the row of an upload in the caller's transaction; returns its view."""
    values = {
        "id": upload.id,
        "name": upload.name,
        "media_type": upload.media_type,
        "size_bytes": upload.size_bytes,
        "sha256": upload.sha256,
        "event_id": event_id,
    }
    row = (await connection.execute(insert(files).values(values).returning(*_ENTERED))).one()
    return _summary(row)


class FileBook:
    """The files of the system, in Postgres."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._reads = engine.execution_options(isolation_level="AUTOCOMMIT")

    async def view(self, file_id: str) -> dict[str, Any] | None:
        """The file with its profile, artifacts or reason; None when no file has this id (a UUID)."""
        row = await self._row(file_id)
        if row is None:
            return None
        artifacts = [
            {**artifact, "href": f"/v1/files/{file_id}/artifacts/{artifact['name']}"}
            for artifact in row.artifacts or ()
        ]
        return _summary(row) | {"profile": row.profile, "artifacts": artifacts}

    async def find(self, file_id: str) -> FileRow | None:
        """The same, for who sends its bytes."""
        row = await self._row(file_id)
        if row is None:
            return None
        return FileRow(row.id, row.name, row.media_type, row.size_bytes, row.sha256, row.artifacts or ())

    async def page(
        self, *, status: str | None, before: str | None, limit: int
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Files without their profiles, newest first, and the id that the next page begins before."""
        wanted: ColumnElement[bool] = true()
        if status is not None:
            wanted &= status == _STATUS
        if before is not None:
            wanted &= files.c.id < before
        query = (
            select(*_LISTED).select_from(_WITH_JOB).where(wanted).order_by(files.c.id.desc()).limit(limit + 1)
        )
        async with self._reads.connect() as connection:
            rows = (await connection.execute(query)).fetchall()
        shown = rows[:limit]
        return [_summary(row) for row in shown], shown[-1].id if len(rows) > limit else None

    async def finish(self, outcome: FileProcessed | FileRejected, file_id: str) -> bool:
        """Write down what became of the file; False when that is known already, or the file is gone.

        The first word stands, so that an event that comes again changes nothing.
        """
        match outcome:
            case FileProcessed():
                values = {
                    "status": "processed",
                    "profile": outcome.profile,
                    "artifacts": [artifact.model_dump() for artifact in outcome.artifacts],
                }
            case FileRejected():
                values = {"status": REJECTED, "reason": outcome.reason}
        change = update(files).where(files.c.id == file_id, files.c.status == UPLOADED)
        async with self._engine.begin() as connection:
            changed = await connection.execute(change.values(**values, finished_at=func.now()))
        return changed.rowcount == 1

    async def remove(self, file_id: str) -> bool:
        """Forget the file; False when nobody knows it. Its bytes are the caller's to remove, afterwards."""
        async with self._engine.begin() as connection:
            gone = await connection.execute(delete(files).where(files.c.id == file_id))
        return gone.rowcount == 1

    async def unknown(self, file_ids: Sequence[str]) -> set[str]:
        """Those of the ids that no row has."""
        async with self._reads.connect() as connection:
            known = await connection.execute(select(files.c.id).where(files.c.id.in_(file_ids)))
        return set(file_ids) - {row.id for row in known}

    async def _row(self, file_id: str) -> Any:
        query = select(*_SEEN).select_from(_WITH_JOB).where(files.c.id == file_id)
        async with self._reads.connect() as connection:
            return (await connection.execute(query)).one_or_none()


def _summary(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "status": row.status,
        "name": row.name,
        "media_type": row.media_type,
        "size_bytes": row.size_bytes,
        "sha256": row.sha256,
        "content_href": f"/v1/files/{row.id}/content",
        "reason": row.reason,
        "uploaded_at": rfc3339(row.uploaded_at),
        "finished_at": rfc3339(row.finished_at) if row.finished_at else None,
        "event_id": row.event_id,
    }
