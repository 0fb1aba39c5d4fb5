"""The effects of a drill; nothing but the inbox keeps them at one a job."""

from alembic import op

from shared.db import create_inbox, drop_inbox

revision = "drill_0001"
down_revision = None


def upgrade() -> None:
    """Create drill.effects and drill.inbox."""
    create_inbox("drill")
    op.execute("""
        CREATE TABLE drill.effects (
            n integer NOT NULL,
            job_id text NOT NULL,
            attempt integer NOT NULL,
            worker integer NOT NULL,
            done_at timestamptz NOT NULL DEFAULT clock_timestamp()
        )
    """)


def downgrade() -> None:
    """Drop both."""
    op.execute("DROP TABLE drill.effects")
    drop_inbox("drill")
