"""Uploaded files: what they are called, and what became of them; their bytes are in the object store."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "gateway_0009"
down_revision = "gateway_0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; its ids are UUIDv7, so that their order is that of the uploads."""
    op.create_table(
        "files",
        sa.Column("id", sa.Uuid(as_uuid=False), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("media_type", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False, server_default="uploaded"),
        sa.Column("profile", JSONB),
        sa.Column("artifacts", JSONB),
        sa.Column("reason", sa.Text),
        sa.Column("uploaded_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.Column("event_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.CheckConstraint("status IN ('uploaded', 'processed', 'rejected')", name="files_status"),
        schema="gateway",
    )
    op.create_index("files_by_status", "files", ["status", "id"], schema="gateway")


def downgrade() -> None:
    """Forget the files; what lies in the object store stays there."""
    op.drop_table("files", schema="gateway")
