"""Answers to requests with an Idempotency-Key, kept until they expire."""

from alembic import op

revision = "gateway_0003"
down_revision = "gateway_0002"
branch_labels = None
depends_on = None

# The principal is the SHA-256 of the API key, empty with API_AUTH=off. A row is written in the transaction of
# what its answer tells of, so there is none for a request in flight.
_TABLE = """
CREATE TABLE gateway.idempotency_keys (
    principal   bytea NOT NULL,
    key         text COLLATE "C" NOT NULL,
    fingerprint bytea NOT NULL,
    status      smallint NOT NULL,
    headers     json NOT NULL,
    body        bytea NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz NOT NULL,
    PRIMARY KEY (principal, key)
)
"""
_INDEX = "CREATE INDEX idempotency_keys_by_expiry ON gateway.idempotency_keys (expires_at)"


def upgrade() -> None:
    """Make the table and its index."""
    op.execute(_TABLE)
    op.execute(_INDEX)


def downgrade() -> None:
    """Forget the answers: a request that is repeated runs again."""
    op.execute("DROP TABLE gateway.idempotency_keys")
