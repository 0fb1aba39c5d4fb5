"""Figures of jobs by the minute: how many ended how, and how long they waited and ran."""

from alembic import op

revision = "gateway_0014"
down_revision = "gateway_0013"
branch_labels = None
depends_on = None

# What the last write of a row told it, for who wrote: before Postgres 18, RETURNING knows no former values,
# and two recorders that enter the same job at once must not both take its end for news.
_NEWS = "ALTER TABLE gateway.jobs ADD COLUMN new_end boolean, ADD COLUMN new_failures integer"

# `waits` and `runs` are histograms: how many durations fall into each bucket (gateway/history/durations.py).
# Each minute's rows are written again and again: the room that is left in a page keeps that in place.
_TABLE = """
CREATE TABLE gateway.job_minutes (
    minute    timestamptz NOT NULL,
    handler   text COLLATE "C" NOT NULL,
    version   text COLLATE "C" NOT NULL,
    succeeded integer NOT NULL,
    dead      integer NOT NULL,
    retried   integer NOT NULL,
    waits     integer[] NOT NULL,
    runs      integer[] NOT NULL,
    PRIMARY KEY (minute, handler, version)
) WITH (fillfactor = 50)
"""


def upgrade() -> None:
    """Make the table and the columns."""
    op.execute(_NEWS)
    op.execute(_TABLE)


def downgrade() -> None:
    """Forget the figures."""
    op.execute("DROP TABLE gateway.job_minutes")
    op.execute("ALTER TABLE gateway.jobs DROP COLUMN new_end, DROP COLUMN new_failures")
