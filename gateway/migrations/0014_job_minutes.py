"""Figures of jobs by the minute: how many ended how, and how long they waited and ran."""

from alembic import op

revision = "gateway_0014"
down_revision = "gateway_0013"
branch_labels = None
depends_on = None

# What the row told before its last write, for who wrote: before Postgres 18, RETURNING knows no former
# values, and two recorders that enter the same job at once must not both take its end for news. They are null
# in nearly every row, where they take no room.
_FORMER = "ALTER TABLE gateway.jobs ADD COLUMN former_end timestamptz, ADD COLUMN former_failures integer"

# `waits` and `runs` are histograms in the form of numbers, so that they are added up as fast as counters
# (gateway/history/durations.py).
# Each minute's rows are written again and again: the room that is left in a page keeps that in place.
_TABLE = """
CREATE TABLE gateway.job_minutes (
    minute    timestamptz NOT NULL,
    handler   text COLLATE "C" NOT NULL,
    version   text COLLATE "C" NOT NULL,
    succeeded integer NOT NULL,
    dead      integer NOT NULL,
    retried   integer NOT NULL,
    waits     numeric NOT NULL,
    runs      numeric NOT NULL,
    PRIMARY KEY (minute, handler, version)
) WITH (fillfactor = 50)
"""


def upgrade() -> None:
    """Make the table and the columns."""
    op.execute(_FORMER)
    op.execute(_TABLE)


def downgrade() -> None:
    """Forget the figures."""
    op.execute("DROP TABLE gateway.job_minutes")
    op.execute("ALTER TABLE gateway.jobs DROP COLUMN former_end, DROP COLUMN former_failures")
