"""The read model: users, orders and their lines, as the events told."""

from alembic import op

revision = "report_0001"
down_revision = None

# A decision may come before its order: such a row has an id and a status, and no report shows it yet.
_TABLES = (
    """
    CREATE TABLE report.users (
        user_id text COLLATE "C" PRIMARY KEY,
        name text NOT NULL,
        email text NOT NULL,
        registered_at timestamptz NOT NULL
    )
    """,
    """
    CREATE TABLE report.orders (
        order_id text COLLATE "C" PRIMARY KEY,
        status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'confirmed', 'rejected')),
        decided_at timestamptz CHECK ((decided_at IS NULL) = (status = 'pending')),
        ordered_at timestamptz,
        user_id text COLLATE "C",
        email text,
        name text,
        currency text COLLATE "C",
        total_cents bigint,
        CHECK (num_nulls(ordered_at, user_id, email, currency, total_cents) IN (0, 5))
    )
    """,
    """
    CREATE TABLE report.order_items (
        order_id text COLLATE "C" NOT NULL REFERENCES report.orders ON DELETE CASCADE,
        line smallint NOT NULL,
        sku text COLLATE "C" NOT NULL,
        quantity integer NOT NULL,
        unit_price_cents bigint NOT NULL,
        PRIMARY KEY (order_id, line)
    )
    """,
    "CREATE INDEX orders_by_time ON report.orders (ordered_at)",
    "CREATE INDEX orders_by_user ON report.orders (user_id, ordered_at)",
)


def upgrade() -> None:
    """Create the tables of the read model."""
    for statement in _TABLES:
        op.execute(statement)


def downgrade() -> None:
    """Drop them; only the events could fill them again."""
    op.execute("DROP TABLE report.order_items, report.orders, report.users")
