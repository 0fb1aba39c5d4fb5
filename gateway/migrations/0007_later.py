"""Events that are to be delivered later stay in the ledger until shortly before."""

import sqlalchemy as sa
from alembic import op

revision = "gateway_0007"
down_revision = "gateway_0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Give each event the instant from which on it may be published; NULL is at once."""
    op.add_column("events", sa.Column("held_until", sa.DateTime(timezone=True)), schema="gateway")
    # The sweeper's order: what is held stands behind all that is due, however much of it there is.
    op.drop_index("events_unpublished", "events", schema="gateway")
    op.create_index(
        "events_unpublished",
        "events",
        [sa.text("COALESCE(held_until, accepted_at)")],
        schema="gateway",
        postgresql_where=sa.text("published_at IS NULL"),
    )
    # Who has a unique key, of jobs that are in no queue yet.
    op.create_index(
        "events_unpublished_unique",
        "events",
        [sa.text("(attributes ->> 'uniquekey')")],
        schema="gateway",
        postgresql_where=sa.text("published_at IS NULL AND (attributes ->> 'uniquekey') IS NOT NULL"),
    )


def downgrade() -> None:
    """Publish what was held at once: its jobs wait in Redis then."""
    op.drop_index("events_unpublished_unique", "events", schema="gateway")
    op.drop_index("events_unpublished", "events", schema="gateway")
    op.drop_column("events", "held_until", schema="gateway")
    op.create_index(
        "events_unpublished",
        "events",
        ["accepted_at"],
        schema="gateway",
        postgresql_where=sa.text("published_at IS NULL"),
    )
