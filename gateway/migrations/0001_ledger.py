"""Users, and the ledger of accepted events."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "gateway_0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "events",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("attributes", JSONB, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("published_at", sa.DateTime(timezone=True)),
        sa.Column("settled_at", sa.DateTime(timezone=True)),
        schema="gateway",
    )
    op.create_index("events_accepted_at", "events", ["accepted_at"], schema="gateway")
    op.create_index(
        "events_unpublished",
        "events",
        ["accepted_at"],
        schema="gateway",
        postgresql_where=sa.text("published_at IS NULL"),
    )
    # What an event caused; most events were caused by none, and cost this index nothing.
    op.create_index(
        "events_caused_by",
        "events",
        [sa.text("(attributes ->> 'causationid')")],
        schema="gateway",
        postgresql_where=sa.text("(attributes ->> 'causationid') IS NOT NULL"),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("email_key", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("event_id", sa.Uuid, nullable=False),
        sa.UniqueConstraint("email_key", name="users_email_key"),
        schema="gateway",
    )


def downgrade() -> None:
    """Drop the tables, with all events and users."""
    op.drop_table("users", schema="gateway")
    op.drop_table("events", schema="gateway")
