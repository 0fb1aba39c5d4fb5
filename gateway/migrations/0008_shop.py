"""The shop: a catalogue, what is in stock, orders; notifications, and the audit of who asked for them."""

from alembic import op

revision = "gateway_0008"
down_revision = "gateway_0007"
branch_labels = None
depends_on = None

_PRODUCTS = """
CREATE TABLE gateway.products (
    sku              text COLLATE "C" PRIMARY KEY,
    name             text NOT NULL,
    unit_price_cents bigint NOT NULL CHECK (unit_price_cents >= 0),
    revision         integer NOT NULL DEFAULT 1,
    created_at       timestamptz NOT NULL DEFAULT now(),
    changed_at       timestamptz NOT NULL DEFAULT now()
)
"""
# Beside the catalogue, not in it: stock is the inventory's, which may know a sku before the catalogue does.
_STOCK = """
CREATE TABLE gateway.stock (
    sku        text COLLATE "C" PRIMARY KEY,
    available  bigint NOT NULL,
    version    bigint,
    changed_at timestamptz NOT NULL DEFAULT now()
)
"""
# Items are a copy of the catalogue at the moment of the order, and never change.
_ORDERS = """
CREATE TABLE gateway.orders (
    id          uuid PRIMARY KEY,
    user_id     uuid NOT NULL REFERENCES gateway.users,
    status      text COLLATE "C" NOT NULL DEFAULT 'pending'
                CHECK (status IN ('pending', 'confirmed', 'rejected')),
    currency    text NOT NULL,
    items       json NOT NULL,
    total_cents bigint NOT NULL,
    shortages   json,
    event_id    uuid NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    decided_at  timestamptz
)
"""
_NOTIFICATIONS = """
CREATE TABLE gateway.notifications (
    id         uuid PRIMARY KEY,
    user_id    uuid REFERENCES gateway.users,
    email      text NOT NULL,
    subject    text NOT NULL,
    event_id   uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
)
"""
# Who did what: `actor` is the beginning of the SHA-256 of the API key.
_AUDIT = """
CREATE TABLE gateway.audit (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at       timestamptz NOT NULL DEFAULT now(),
    actor    text NOT NULL,
    action   text NOT NULL,
    target   text NOT NULL,
    event_id uuid,
    trace_id text
)
"""
# Ids are UUIDv7: a list is in the order of time by its ids alone.
_INDEXES = """
CREATE INDEX orders_by_user ON gateway.orders (user_id, id DESC);
CREATE INDEX orders_by_status ON gateway.orders (status, id DESC);
CREATE INDEX notifications_by_user ON gateway.notifications (user_id, id DESC) WHERE user_id IS NOT NULL;
CREATE INDEX audit_at ON gateway.audit USING brin (at);
CREATE INDEX groups_completed ON gateway.groups (completed_at) WHERE completed_at IS NOT NULL;
"""


def upgrade() -> None:
    """Make the tables and their indexes."""
    for table in (_PRODUCTS, _STOCK, _ORDERS, _NOTIFICATIONS, _AUDIT):
        op.execute(table)
    for index in _INDEXES.strip().splitlines():
        op.execute(index)


def downgrade() -> None:
    """Drop the tables, with all orders; the events that told of them stay."""
    op.execute("DROP INDEX gateway.groups_completed")
    for table in ("audit", "notifications", "orders", "stock", "products"):
        op.execute(f"DROP TABLE gateway.{table}")
