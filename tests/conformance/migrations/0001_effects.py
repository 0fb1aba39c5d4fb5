"""A table that counts effects, and the inbox that keeps them at one a job."""

from alembic import op

from shared.db import create_inbox, drop_inbox

revision = "lab_0001"
down_revision = None


def upgrade() -> None:
    create_inbox("lab")
    op.execute("CREATE TABLE lab.effects (job_id text NOT NULL, attempt integer NOT NULL)")


def downgrade() -> None:
    op.execute("DROP TABLE lab.effects")
    drop_inbox("lab")
