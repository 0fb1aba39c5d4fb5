"""What the inventory owns in Postgres: what can be ordered, and what is set aside for whom."""

from sqlalchemy import BigInteger, Column, DateTime, MetaData, Table, Text, func

metadata = MetaData(schema="inventory")

stock = Table(
    "stock",
    metadata,
    Column("sku", Text(collation="C"), primary_key=True),
    Column("available", BigInteger, nullable=False),  # never below 0: the table refuses it
    Column("version", BigInteger, nullable=False),  # counts the changes of this sku
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

reservations = Table(
    "reservations",
    metadata,
    Column("order_id", Text, primary_key=True),
    Column("sku", Text(collation="C"), primary_key=True),
    Column("quantity", BigInteger, nullable=False),
    Column("reserved_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)
