"""What happened, in; the rows that reports are made of, out. Each method is harmless when it is called again.

Rows are keyed by the ids of the users and orders themselves, and every method writes columns of its own: so
neither a second delivery nor another order of events changes what is there in the end, for ever. An inbox
would forget after a while, and cost a row for each event.
"""

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.contracts import OrderCreated, UserRegistered

Decision = Literal["confirmed", "rejected"]

_USER = text("""
    INSERT INTO report.users (user_id, name, email, registered_at)
    VALUES (:user_id, :name, :email, :at)
    ON CONFLICT (user_id) DO UPDATE
    SET name = excluded.name, email = excluded.email, registered_at = excluded.registered_at
    WHERE users.registered_at < excluded.registered_at
""")
# One statement, so one commit without a BEGIN: the lines come with their order, and only the first time.
_ORDER = text("""
    WITH entered AS (
        INSERT INTO report.orders (order_id, user_id, email, name, currency, total_cents, ordered_at)
        VALUES (:order_id, :user_id, :email, :name, :currency, :total_cents, :at)
        ON CONFLICT (order_id) DO UPDATE
        SET user_id = excluded.user_id, email = excluded.email, name = excluded.name,
            currency = excluded.currency, total_cents = excluded.total_cents, ordered_at = excluded.ordered_at
        WHERE orders.ordered_at IS NULL
        RETURNING order_id
    )
    INSERT INTO report.order_items (order_id, line, sku, quantity, unit_price_cents)
    SELECT order_id, line, sku, quantity, unit_price_cents
    FROM entered, unnest(
        CAST(:skus AS text[]), CAST(:quantities AS integer[]), CAST(:prices AS bigint[])
    ) WITH ORDINALITY AS item (sku, quantity, unit_price_cents, line)
""")
# Of two decisions, which no order should have, the later one stands, whichever comes first.
_DECISION = text("""
    INSERT INTO report.orders (order_id, status, decided_at) VALUES (:order_id, :status, :at)
    ON CONFLICT (order_id) DO UPDATE SET status = excluded.status, decided_at = excluded.decided_at
    WHERE orders.decided_at IS NULL
       OR (orders.decided_at, orders.status) < (excluded.decided_at, excluded.status)
""")


class ReadModel:
    """Writes report.users, report.orders and report.order_items."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")

    async def user_registered(self, user: UserRegistered, at: datetime) -> None:
        """Somebody has an account since then; of two such events the later one stands."""
        values = {"user_id": user.user_id, "name": user.name, "email": user.email, "at": at}
        await self._write(_USER, values)

    async def order_created(self, order: OrderCreated, at: datetime) -> None:
        """The order with its lines; what is known of an order is not changed by a second one."""
        await self._write(_ORDER, _order(order, at))

    async def order_decided(self, order_id: str, decision: Decision, at: datetime) -> None:
        """The inventory has decided about an order, which may not be known yet."""
        await self._write(_DECISION, {"order_id": order_id, "status": decision, "at": at})

    async def _write(self, statement: TextClause, values: dict[str, Any]) -> None:
        async with self._engine.connect() as connection:
            await connection.execute(statement, values)


def _order(order: OrderCreated, at: datetime) -> dict[str, Any]:
    return {
        "order_id": order.order_id,
        "user_id": order.user_id,
        "email": order.email,
        "name": order.name,
        "currency": order.currency,
        "total_cents": order.total_cents,
        "at": at,
        "skus": [item.sku for item in order.items],
        "quantities": [item.quantity for item in order.items],
        "prices": [item.unit_price_cents for item in order.items],
    }
