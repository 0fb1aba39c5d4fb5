"""Dead jobs by what they died of: a filter in, groups of the same failure out, the last to die first."""

from typing import Any, Final

from sqlalchemy import Text, func, literal_column, select, true
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.history.history_table import FINGERPRINT, JOBS
from gateway.history.job_filter import Filter
from gateway.operations.dead_set import that_are_dead
from shared.clock import rfc3339

_OF_NEWEST: Final = (JOBS.c.id, JOBS.c.handler, JOBS.c.service, JOBS.c.error, JOBS.c.error_type, JOBS.c.frame)


async def dead_groups(engine: AsyncEngine, wanted: Filter, *, limit: int) -> list[dict[str, Any]]:
    """At most `limit` groups of the dead jobs that pass the filter, as the REST API shows them."""
    dead = that_are_dead(wanted)
    by_reason = (
        select(
            FINGERPRINT.label("cause"),
            func.coalesce(JOBS.c.reason, literal_column("'unknown'", Text)).label("why"),
            func.count().label("jobs"),
            func.min(JOBS.c.finished_at).label("first_at"),
            func.max(JOBS.c.finished_at).label("last_at"),
        )
        .where(*dead)
        .group_by("cause", "why")
        .cte("by_reason")
    )
    group = (
        select(
            by_reason.c.cause.label("fingerprint"),
            func.json_object_agg(by_reason.c.why, by_reason.c.jobs).label("reasons"),
            func.sum(by_reason.c.jobs).label("count"),
            func.min(by_reason.c.first_at).label("first_at"),
            func.max(by_reason.c.last_at).label("last_at"),
        )
        .group_by(by_reason.c.cause)
        .order_by(func.max(by_reason.c.last_at).desc(), by_reason.c.cause)
        .limit(limit)
        .cte("dead_group")
    )
    newest = (
        select(*_OF_NEWEST)
        .where(*dead, group.c.fingerprint == FINGERPRINT)
        .order_by(JOBS.c.finished_at.desc(), JOBS.c.id.desc())
        .limit(1)
        .lateral("newest")
    )
    found = select(group, newest).select_from(group.join(newest, true()))
    async with engine.connect() as connection:
        rows = (await connection.execute(found.order_by(group.c.last_at.desc(), group.c.fingerprint))).all()
    return [_shown(row) for row in rows]


def _shown(row: Any) -> dict[str, Any]:
    error = row.error if isinstance(row.error, dict) else {}
    return {
        "fingerprint": row.fingerprint,
        "handler": row.handler,
        "service": row.service,
        "error": row.error_type,
        "message": error.get("message"),
        "frame": row.frame,
        "reasons": dict(sorted(row.reasons.items(), key=lambda reason: (-reason[1], reason[0]))),
        "count": int(row.count),
        "first_at": rfc3339(row.first_at),
        "last_at": rfc3339(row.last_at),
        "sample_id": row.id,
    }
