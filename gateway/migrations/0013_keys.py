"""Stored API keys: who may do what, beside the keys of the setting API_KEYS."""

from alembic import op

revision = "gateway_0013"
down_revision = "gateway_0012"
branch_labels = None
depends_on = None

# Of a key itself only its SHA-256 is here. Rows stay: who made a key, and when it ended, is known.
_TABLE = """
CREATE TABLE gateway.api_keys (
    id           uuid PRIMARY KEY,
    name         text COLLATE "C" NOT NULL,
    digest       bytea NOT NULL UNIQUE CHECK (octet_length(digest) = 32),
    scopes       text[] NOT NULL CHECK (cardinality(scopes) > 0),
    created_at   timestamptz NOT NULL DEFAULT now(),
    created_by   text NOT NULL,
    expires_at   timestamptz,
    revoked_at   timestamptz,
    last_used_at timestamptz
)
"""


def upgrade() -> None:
    """Make the table; a name is free again once its key is revoked."""
    op.execute(_TABLE)
    op.execute("CREATE UNIQUE INDEX api_keys_by_name ON gateway.api_keys (name) WHERE revoked_at IS NULL")


def downgrade() -> None:
    """Drop the table: no stored key is let in any more."""
    op.execute("DROP TABLE gateway.api_keys")
