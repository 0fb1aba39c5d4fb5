"""What the reconciler needs: where an event lies, which events are open, who handles what."""

import sqlalchemy as sa
from alembic import op

revision = "gateway_0004"
down_revision = "gateway_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the place, the index of open events, and the table of handlers."""
    op.add_column("events", sa.Column("place", sa.Text), schema="gateway")
    # An event is in it from its publishing to its settling, which is moments for nearly all.
    op.create_index(
        "events_open",
        "events",
        ["published_at", "id"],
        schema="gateway",
        postgresql_where=sa.text("settled_at IS NULL AND published_at IS NOT NULL"),
    )
    op.create_table(
        "handlers",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("event_type", sa.Text, nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        schema="gateway",
    )


def downgrade() -> None:
    """Forget places and handlers; the events stay."""
    op.drop_table("handlers", schema="gateway")
    op.drop_index("events_open", "events", schema="gateway")
    op.drop_column("events", "place", schema="gateway")
