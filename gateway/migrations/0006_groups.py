"""Groups: events that belong together, and the one that follows when all of them are settled."""

from alembic import op

revision = "gateway_0006"
down_revision = "gateway_0005"
branch_labels = None
depends_on = None

# `opened_by` is the job whose handler opened it, NULL for a request; `then_event` is CloudEvents JSON.
_GROUPS = """
CREATE TABLE gateway.groups (
    id           uuid PRIMARY KEY,
    opened_by    text COLLATE "C",
    members      integer NOT NULL,
    then_event   bytea NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    check_at     timestamptz NOT NULL DEFAULT now(),
    completed_at timestamptz
)
"""
# `failed` is NULL until the member's event is settled.
_MEMBERS = """
CREATE TABLE gateway.group_members (
    group_id uuid NOT NULL REFERENCES gateway.groups ON DELETE CASCADE,
    event_id uuid NOT NULL,
    failed   boolean,
    PRIMARY KEY (group_id, event_id)
)
"""
# All three hold only what is open: a group that is completed costs them nothing.
_INDEXES = """
CREATE INDEX groups_open ON gateway.groups (check_at) WHERE completed_at IS NULL;
CREATE INDEX group_members_open ON gateway.group_members (group_id) WHERE failed IS NULL;
CREATE INDEX group_members_open_by_event ON gateway.group_members (event_id) WHERE failed IS NULL;
"""


def upgrade() -> None:
    """Make the tables and their indexes."""
    op.execute(_GROUPS)
    op.execute(_MEMBERS)
    for index in _INDEXES.strip().splitlines():
        op.execute(index)


def downgrade() -> None:
    """Forget the groups: what should follow an open one never will."""
    op.execute("DROP TABLE gateway.group_members")
    op.execute("DROP TABLE gateway.groups")
