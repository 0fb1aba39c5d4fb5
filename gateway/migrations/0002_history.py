"""The history: gateway.jobs, one row for each job, as the recorder last saw it in Redis."""

from alembic import op

revision = "gateway_0002"
down_revision = "gateway_0001"
branch_labels = None
depends_on = None

# JSON is `json`, not `jsonb`: nobody searches in it, it comes back byte for byte, and it may hold \u0000.
# The event stands with dead jobs only; that of every other job is in the ledger.
# Ids and names compare bytewise ("C"), which is several times faster than a language's order.
_TABLE = """
CREATE TABLE gateway.jobs (
    id           text COLLATE "C" PRIMARY KEY,
    handler      text COLLATE "C" NOT NULL,
    service      text COLLATE "C" NOT NULL,
    event_id     uuid,
    event_type   text NOT NULL,
    state        text COLLATE "C" NOT NULL,
    attempt      integer NOT NULL,
    max_attempts integer NOT NULL,
    worker       text,
    queued_at    timestamptz NOT NULL,
    started_at   timestamptz,
    finished_at  timestamptz,
    due_at       timestamptz,
    progress     json,
    result       json,
    error        json,
    attempts     json,
    caused       json,
    reason       text,
    trace_id     text,
    event        bytea,
    raw          bytea,
    channel      text,
    changed_at   timestamptz NOT NULL DEFAULT now(),
    position     bigint NOT NULL
)
"""

# Each list is newest first and goes on after (queued_at, id). The id is in no index but its own: it is long,
# and jobs of the same millisecond are few enough to be sorted when they are read.
# Succeeded jobs are nearly all of the table, so that list is jobs_by_time with a cheap filter,
# and the index of the states holds the few others.
_INDEXES = """
CREATE INDEX jobs_by_time ON gateway.jobs (queued_at DESC);
CREATE INDEX jobs_by_handler ON gateway.jobs (handler, queued_at DESC);
CREATE INDEX jobs_by_service ON gateway.jobs (service, queued_at DESC);
CREATE INDEX jobs_by_state ON gateway.jobs (state, queued_at DESC) WHERE state <> 'succeeded';
CREATE INDEX jobs_by_event ON gateway.jobs (event_id);
"""


def upgrade() -> None:
    """Make the table and its indexes."""
    op.execute(_TABLE)
    for index in _INDEXES.strip().splitlines():
        op.execute(index)


def downgrade() -> None:
    """Forget the history; Redis still knows the jobs that have not expired there."""
    op.execute("DROP TABLE gateway.jobs")
