"""The audit: who did what, a line for each; written after the answer, with the session of the request."""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from shared.telemetry import get_logger

_INSERT = text("""
    INSERT INTO gateway.audit (actor, action, target, event_id, trace_id)
    VALUES (:actor, :action, :target, :event_id, :trace_id)
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Who did what to what. `actor` tells API keys apart and is none: the beginning of a key's SHA-256."""

    actor: str
    action: str
    target: str
    event_id: str
    trace_id: str | None


async def write_line(session: AsyncSession, line: Line) -> None:
    """Commit the line; one that Postgres does not take is an error in the log, and of nobody else's business.

    What raises in a task after the answer keeps the tasks behind it from running, and no caller learns of it.
    """
    values = {
        "actor": line.actor,
        "action": line.action,
        "target": line.target,
        "event_id": line.event_id,
        "trace_id": line.trace_id,
    }
    try:
        async with session.begin():
            await session.execute(_INSERT, values)
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        get_logger().error("audit.line_lost", action=line.action, error_type=type(error).__name__)
