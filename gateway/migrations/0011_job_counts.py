"""Lists and counts of jobs by state: of a handler, a service, a worker, an error; events by their type."""

from alembic import op

revision = "gateway_0011"
down_revision = "gateway_0010"
branch_labels = None
depends_on = None

# With the state before the time, a list of one state never walks through the jobs in all others: not through
# 100,000 dead ones to the last that succeeded. A list of all states takes the newest of each. The time is an
# expression, so that such a list can go by these indexes alone (gateway/history/looks.py).
# Events that are not settled have their index by type already; so each event enters one of them once.
_INDEXES = """
CREATE INDEX jobs_by_handler_state ON gateway.jobs (handler, state, {time});
CREATE INDEX jobs_by_service_state ON gateway.jobs (service, state, {time});
CREATE INDEX jobs_by_worker_state ON gateway.jobs (worker, state, {time}) WHERE worker IS NOT NULL;
CREATE INDEX jobs_by_error ON gateway.jobs (error_type, state, {time}) WHERE failure IS NOT NULL;
CREATE INDEX jobs_failed_by_state ON gateway.jobs (state, queued_at DESC) WHERE failure IS NOT NULL;
CREATE INDEX events_settled_by_type ON gateway.events (type, accepted_at DESC) WHERE settled_at IS NOT NULL;
"""
_FORMER = """
CREATE INDEX jobs_by_handler ON gateway.jobs (handler, queued_at DESC);
CREATE INDEX jobs_by_service ON gateway.jobs (service, queued_at DESC);
"""


def upgrade() -> None:
    """Make the indexes, and drop the two that they replace."""
    for index in _INDEXES.strip().splitlines():
        op.execute(index.format(time="timezone('UTC', queued_at) DESC"))
    op.execute("DROP INDEX gateway.jobs_by_handler, gateway.jobs_by_service")


def downgrade() -> None:
    """Make the former two again."""
    for index in _FORMER.strip().splitlines():
        op.execute(index)
    op.execute("DROP INDEX gateway.jobs_by_handler_state, gateway.jobs_by_service_state")
    op.execute("DROP INDEX gateway.jobs_by_worker_state, gateway.jobs_by_error")
    op.execute("DROP INDEX gateway.jobs_failed_by_state, gateway.events_settled_by_type")
