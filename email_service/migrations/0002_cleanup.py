"""Mails that came to their end long ago are removed: how they are found."""

from alembic import op

revision = "email_0002"
down_revision = "email_0001"


def upgrade() -> None:
    """Index what may be removed, by its age."""
    op.execute("CREATE INDEX messages_final ON email.messages (updated_at) WHERE state <> 'sending'")


def downgrade() -> None:
    """Drop the index."""
    op.execute("DROP INDEX email.messages_final")
