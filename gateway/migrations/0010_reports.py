"""Reports: what was asked for and what became of it; and the figures of jobs that reports are made of."""

from alembic import op

revision = "gateway_0010"
down_revision = "gateway_0009"
branch_labels = None
depends_on = None

_TABLE = """
CREATE TABLE gateway.reports (
    id           text COLLATE "C" PRIMARY KEY,
    kind         text NOT NULL,
    format       text NOT NULL,
    first_day    date NOT NULL,
    last_day     date NOT NULL,
    user_id      text,
    email_to     text,
    status       text COLLATE "C" NOT NULL CHECK (status IN ('requested', 'ready', 'failed')),
    reason       text,
    rows         integer,
    size_bytes   bigint,
    media_type   text,
    file_key     text,
    name         text,
    event_id     uuid,
    requested_at timestamptz NOT NULL DEFAULT now(),
    ended_at     timestamptz
)
"""

# What other services may know of jobs (docs/decisions/0011): how they stand, and when. No event, no result,
# no error. Whoever may use the database may read it; the tables of the schema stay closed.
_VIEW = """
CREATE VIEW gateway.job_runs AS
SELECT handler, service, state, attempt, queued_at, started_at, finished_at FROM gateway.jobs
"""


def upgrade() -> None:
    """Make the table and the view."""
    op.execute(_TABLE)
    op.execute("CREATE INDEX reports_by_time ON gateway.reports (requested_at DESC, id DESC)")
    op.execute(_VIEW)
    op.execute("GRANT USAGE ON SCHEMA gateway TO PUBLIC")
    op.execute("GRANT SELECT ON gateway.job_runs TO PUBLIC")


def downgrade() -> None:
    """Drop them; the reports themselves stay in the object store until they are too old."""
    op.execute("REVOKE USAGE ON SCHEMA gateway FROM PUBLIC")
    op.execute("DROP VIEW gateway.job_runs")
    op.execute("DROP TABLE gateway.reports")
