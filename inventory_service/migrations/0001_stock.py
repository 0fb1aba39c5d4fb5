"""Stock, what is set aside of it, and which jobs had their effect."""

from alembic import op

from shared.db import create_inbox, drop_inbox

revision = "inventory_0001"
down_revision = None


def upgrade() -> None:
    """Create inventory.stock, inventory.reservations and inventory.inbox."""
    # Collation "C": every session sorts skus alike, byte by byte, whatever the database's language is.
    # Each change of stock writes its row anew: room is left for the new version on the same page (HOT).
    op.execute("""
        CREATE TABLE inventory.stock (
            sku text COLLATE "C" PRIMARY KEY,
            available bigint NOT NULL CHECK (available >= 0),
            version bigint NOT NULL,
            updated_at timestamptz NOT NULL DEFAULT now()
        ) WITH (fillfactor = 50)
    """)
    op.execute("""
        CREATE TABLE inventory.reservations (
            order_id text NOT NULL,
            sku text COLLATE "C" NOT NULL,
            quantity bigint NOT NULL CHECK (quantity > 0),
            reserved_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (order_id, sku)
        )
    """)
    create_inbox("inventory")


def downgrade() -> None:
    """Drop them."""
    drop_inbox("inventory")
    op.execute("DROP TABLE inventory.reservations")
    op.execute("DROP TABLE inventory.stock")
