"""Where a service notes which jobs had their effect: the table, made by a migration, pruned by a cleanup.

`Job.once` writes it: one row for each job, in the commit of the job's effect.
"""

from datetime import timedelta
from typing import Final

from sqlalchemy import CursorResult, text
from sqlalchemy.ext.asyncio import AsyncEngine

_BATCH: Final = 5_000
_PRUNE = text("""
    DELETE FROM inbox WHERE job_id = ANY (ARRAY(
        SELECT job_id FROM inbox WHERE done_at < now() - CAST(:age AS interval) LIMIT :batch
    ))
""")


def create_inbox(schema: str) -> None:
    """Create `<schema>.inbox`; for `upgrade()` in a migration of the service that owns the schema."""
    from alembic import op  # noqa: PLC0415 - only migrations need it

    op.execute(f"""
        CREATE TABLE {schema}.inbox (
            job_id text PRIMARY KEY,
            attempt integer NOT NULL,
            outcome json,
            done_at timestamptz NOT NULL DEFAULT now()
        )
    """)
    # Rows come in the order of their time: a BRIN index is a few pages, and enough to prune by.
    op.execute(f"CREATE INDEX inbox_done_at ON {schema}.inbox USING brin (done_at)")


def drop_inbox(schema: str) -> None:
    """Drop `<schema>.inbox`; for `downgrade()`."""
    from alembic import op  # noqa: PLC0415 - only migrations need it

    op.execute(f"DROP TABLE {schema}.inbox")


async def prune_inbox(engine: AsyncEngine, *, older_than: timedelta) -> int:
    """Forget effects older than that; returns how many. Each 5,000 are a commit of their own.

    A job that comes again after its row is gone has its effect again. Nothing brings one back later than
    DEAD_TTL, for which a dead job can be replayed: keep rows for longer than that.
    """
    pruned = 0
    while True:
        async with engine.begin() as connection:
            values = {"age": older_than, "batch": _BATCH}
            result: CursorResult[tuple[()]] = await connection.execute(_PRUNE, values)
        pruned += result.rowcount
        if result.rowcount < _BATCH:
            return pruned
