"""Replays of dead letters; the history is searched by text, and by the instant of a death."""

import sqlalchemy as sa
from alembic import op

revision = "gateway_0005"
down_revision = "gateway_0004"
branch_labels = None
depends_on = None

# `next_at` is when the next page of a replay is due. Who works on a page sets it as far ahead as a lease, so
# that one column keeps both the rate and the owner, over the death of a gateway too. `page` are the jobs that
# are being queued, `last_at` and `last_id` the place of the last one: who takes over does the same page.
_REPLAYS = """
CREATE TABLE gateway.replays (
    id            uuid PRIMARY KEY,
    filter        json NOT NULL,
    rate          double precision NOT NULL,
    state         text NOT NULL DEFAULT 'running',
    asked_by      text,
    matched       bigint NOT NULL,
    replayed      bigint NOT NULL DEFAULT 0,
    skipped       jsonb NOT NULL DEFAULT '{}',
    last_at       timestamptz,
    last_id       text COLLATE "C",
    page          text[],
    next_at       timestamptz NOT NULL DEFAULT now(),
    created_at    timestamptz NOT NULL DEFAULT now(),
    finished_at   timestamptz
)
"""
_REPLAY_INDEXES = """
CREATE INDEX replays_due ON gateway.replays (next_at) WHERE state = 'running';
CREATE INDEX replays_by_time ON gateway.replays (created_at DESC, id DESC);
"""

# An error may hold \\u0000, on which Postgres' operators for JSON fail. Such old failures are not found by
# their text; they still have their reason, handler and event type.
_FAILURES = """
ALTER TABLE gateway.jobs ADD COLUMN error_type text, ADD COLUMN failure text;
UPDATE gateway.jobs SET finished_at = changed_at
    WHERE finished_at IS NULL AND state IN ('succeeded', 'dead', 'cancelled', 'expired');
UPDATE gateway.jobs SET failure = concat_ws(E'\\n', reason, handler, event_type)
    WHERE error IS NOT NULL OR reason IS NOT NULL;
UPDATE gateway.jobs SET error_type = error ->> 'type',
    failure = concat_ws(E'\\n', (error ->> 'type') || ': ' || (error ->> 'message'), failure)
    WHERE error IS NOT NULL AND error::text NOT LIKE '%\\\\u0000%';
"""
# Few jobs are dead or failed: these indexes hold little and cost the recorder next to nothing.
# Traces are looked up whole, and at random: a hash stays half the size of a tree.
_JOB_INDEXES = """
CREATE INDEX jobs_dead ON gateway.jobs (finished_at, id) WHERE state = 'dead';
CREATE INDEX jobs_dead_by_handler ON gateway.jobs (handler, finished_at, id) WHERE state = 'dead';
CREATE INDEX jobs_failed_by_time ON gateway.jobs (queued_at DESC) WHERE failure IS NOT NULL;
CREATE INDEX jobs_by_trace ON gateway.jobs USING hash (trace_id);
"""
# Events whose jobs are not all final, for the list of what waits for a worker.
_EVENT_INDEX = """
CREATE INDEX events_unsettled_by_time ON gateway.events (type, accepted_at DESC) WHERE settled_at IS NULL
"""


def upgrade() -> None:
    """Make the table, the columns and the indexes."""
    op.execute(_REPLAYS)
    for statements in (_REPLAY_INDEXES, _FAILURES, _JOB_INDEXES):
        for statement in statements.strip().rstrip(";").split(";\n"):
            op.execute(statement)
    op.execute(_EVENT_INDEX)
    _index_the_text()


def downgrade() -> None:
    """Forget the replays, and what is searched."""
    op.execute("DROP INDEX gateway.events_unsettled_by_time, gateway.jobs_dead, gateway.jobs_dead_by_handler")
    op.execute("DROP INDEX gateway.jobs_by_trace")
    op.execute("ALTER TABLE gateway.jobs DROP COLUMN error_type, DROP COLUMN failure")
    op.execute("DROP TABLE gateway.replays")


def _index_the_text() -> None:
    """An index of any part of a text, where Postgres has pg_trgm; without it a search reads all failed jobs.

    The extension is trusted: whoever may create a schema may create it. The service's role may not.
    """
    connection = op.get_bind()
    known = "SELECT 1 FROM pg_available_extensions WHERE name = 'pg_trgm'"
    if connection.execute(sa.text(known)).scalar() is None:
        return
    role = connection.execute(sa.text("SELECT quote_ident(current_user)")).scalar_one()
    op.execute("SET LOCAL ROLE NONE")
    op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA gateway")
    op.execute(f"SET LOCAL ROLE {role}")
    where = "SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'pg_trgm'"
    schema = connection.execute(sa.text(where)).scalar_one()
    op.execute(
        f"CREATE INDEX jobs_by_failure ON gateway.jobs USING gin (failure {schema}.gin_trgm_ops)"
        " WHERE failure IS NOT NULL"
    )
