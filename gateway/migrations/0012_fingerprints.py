"""What dead jobs died of: a fingerprint to group them by, and where in one's own code it was raised."""

from alembic import op

revision = "gateway_0012"
down_revision = "gateway_0011"
branch_labels = None
depends_on = None

# No row is written anew: what died before has no fingerprint, and is grouped by handler and error type.
# Few jobs are dead: the index holds little and costs the recorder next to nothing.
_COLUMNS = "ALTER TABLE gateway.jobs ADD COLUMN fingerprint text, ADD COLUMN frame text"
_INDEX = """
CREATE INDEX jobs_dead_by_fingerprint ON gateway.jobs (
    (coalesce(fingerprint, left(md5(jobs.handler || ':' || coalesce(jobs.error_type, '')), 16))),
    finished_at, id
) WHERE state = 'dead'
"""


def upgrade() -> None:
    """Make the columns and the index."""
    op.execute(_COLUMNS)
    op.execute(_INDEX)


def downgrade() -> None:
    """Forget the fingerprints."""
    op.execute("DROP INDEX gateway.jobs_dead_by_fingerprint")
    op.execute("ALTER TABLE gateway.jobs DROP COLUMN fingerprint, DROP COLUMN frame")
