"""What the gateway need not keep any longer: old rows are removed, batch by batch, and counted.

Each batch is a commit of its own, takes no row that somebody else has locked, and is followed by a rest as
long as it took: the door and the recorder have the database for themselves at least half of the time.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Final

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.door.expiry import Expiry

BATCH: Final = 1000
MINUTES_KEPT: Final = timedelta(days=7)
"""How long the figures of jobs are kept."""
GROUPS_BATCH: Final = 20  # each has up to some thousand members

# Each removes a batch of what is older than `before`, from `after` on, in the order of that instant: what has
# to stay is looked at once, not for each batch. `last` is null when there was nothing left.
# An event that is not settled, or that an open group still counts, stays however old it is.
_EVENTS: Final = text("""
    WITH old AS (
        SELECT id, accepted_at FROM gateway.events
        WHERE accepted_at >= :after AND accepted_at < :before AND settled_at < :before AND NOT EXISTS (
            SELECT FROM gateway.group_members AS member
            WHERE member.event_id = events.id AND member.failed IS NULL
        )
        ORDER BY accepted_at LIMIT :batch FOR UPDATE SKIP LOCKED
    ), jobs AS (
        DELETE FROM gateway.jobs USING old WHERE jobs.event_id = old.id RETURNING jobs.id
    ), gone AS (
        DELETE FROM gateway.events USING old WHERE events.id = old.id RETURNING old.accepted_at
    )
    SELECT count(*) AS removed, (SELECT count(*) FROM jobs) AS jobs, max(accepted_at) AS last FROM gone
""")
# Jobs without an event in the ledger: what came was none, or it is gone already.
_JOBS: Final = text("""
    WITH old AS (
        SELECT id, queued_at FROM gateway.jobs
        WHERE queued_at >= :after AND queued_at < :before AND finished_at < :before
            AND NOT EXISTS (SELECT FROM gateway.events WHERE events.id = jobs.event_id)
        ORDER BY queued_at LIMIT :batch FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM gateway.jobs USING old WHERE jobs.id = old.id RETURNING old.queued_at
    )
    SELECT count(*) AS removed, 0 AS jobs, max(queued_at) AS last FROM gone
""")
_GROUPS: Final = text("""
    WITH old AS (
        SELECT id, completed_at FROM gateway.groups WHERE completed_at >= :after AND completed_at < :before
        ORDER BY completed_at LIMIT :batch FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM gateway.groups USING old WHERE groups.id = old.id RETURNING old.completed_at
    )
    SELECT count(*) AS removed, 0 AS jobs, max(completed_at) AS last FROM gone
""")
_AUDIT: Final = text("""
    WITH old AS (
        SELECT id, at FROM gateway.audit WHERE at >= :after AND at < :before
        ORDER BY at LIMIT :batch FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM gateway.audit USING old WHERE audit.id = old.id RETURNING old.at
    )
    SELECT count(*) AS removed, 0 AS jobs, max(at) AS last FROM gone
""")
_MINUTES: Final = text("""
    WITH gone AS (
        DELETE FROM gateway.job_minutes WHERE minute >= :after AND minute < :before AND minute < (
            SELECT min(minute) FROM gateway.job_minutes WHERE minute >= :after
        ) + interval '1 hour' RETURNING minute
    )
    SELECT count(*) AS removed, 0 AS jobs, max(minute) AS last FROM gone
""")
_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Cleanup:
    """Removes what is older than its time. What `run` was cut off in, the next run goes on with."""

    def __init__(
        self, engine: AsyncEngine, *, events_kept: timedelta, audit_kept: timedelta, batch: int = BATCH
    ) -> None:
        self._engine = engine
        self._events_kept = events_kept
        self._audit_kept = audit_kept
        self._batch = batch

    async def run(self) -> dict[str, int]:
        """Remove all that is due; how many rows of each kind it was."""
        now = datetime.now(UTC)
        before = now - self._events_kept
        answers = await Expiry(self._engine, batch=self._batch).sweep()
        groups, _ = await self._remove(_GROUPS, before, batch=min(self._batch, GROUPS_BATCH))
        events, jobs = await self._remove(_EVENTS, before, batch=self._batch)
        more_jobs, _ = await self._remove(_JOBS, before, batch=self._batch)
        audit, _ = await self._remove(_AUDIT, now - self._audit_kept, batch=self._batch)
        minutes, _ = await self._remove(_MINUTES, now - MINUTES_KEPT, batch=self._batch)
        return {
            "events": events,
            "jobs": jobs + more_jobs,
            "groups": groups,
            "answers": answers,
            "audit": audit,
            "minutes": minutes,
        }

    async def _remove(self, statement: TextClause, before: datetime, *, batch: int) -> tuple[int, int]:
        """All that is due of one kind; how many, and how many jobs went with them."""
        removed = jobs = 0
        after: datetime | None = _BEGINNING
        while after is not None:
            began_at = monotonic()
            async with self._engine.begin() as connection:
                values = {"after": after, "before": before, "batch": batch}
                row = (await connection.execute(statement, values)).one()
            removed, jobs, after = removed + row.removed, jobs + row.jobs, row.last
            await asyncio.sleep(monotonic() - began_at)
        return removed, jobs
