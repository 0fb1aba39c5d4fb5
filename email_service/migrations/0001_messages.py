"""The mails that were handed to the relay."""

from alembic import op

revision = "email_0001"
down_revision = None


def upgrade() -> None:
    """Create email.messages."""
    op.execute("""
        CREATE TABLE email.messages (
            job_id text PRIMARY KEY,
            event_id text NOT NULL,
            message_id text NOT NULL,
            recipient_sha256 text NOT NULL,
            state text NOT NULL CHECK (state IN ('sending', 'sent', 'bounced', 'failed')),
            attempt integer NOT NULL,
            run integer NOT NULL,
            found text,
            relay_id text,
            reason text,
            created_at timestamptz NOT NULL DEFAULT now(),
            updated_at timestamptz NOT NULL DEFAULT now(),
            sent_at timestamptz
        )
    """)
    # Mails of unknown outcome are looked for by people; there are few at a time.
    op.execute("CREATE INDEX messages_sending ON email.messages (updated_at) WHERE state = 'sending'")


def downgrade() -> None:
    """Drop email.messages."""
    op.execute("DROP TABLE email.messages")
