"""Orders in Postgres: what a customer wants in, an order with its event in one commit out; and its end."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.door.uuids import as_uuid
from shared.contracts import OrderCreated, Shortage

Status = Literal["pending", "confirmed", "rejected"]

_CUSTOMER: Final = text("SELECT name, email FROM gateway.users WHERE id = :id")
_PRICES: Final = text(
    "SELECT sku, name, unit_price_cents FROM gateway.products WHERE sku = ANY(CAST(:skus AS text[]))"
)
_COLUMNS: Final = """
    id::text, user_id::text, status, currency, items::text, total_cents, shortages::text, event_id::text,
    created_at, decided_at
"""
_INSERT: Final = text(f"""
    INSERT INTO gateway.orders (id, user_id, currency, items, total_cents, event_id)
    VALUES (:id, :user_id, :currency, CAST(:items AS json), :total_cents, :event_id)
    RETURNING {_COLUMNS}
""")  # noqa: S608 - our own columns
_ONE: Final = text(f"SELECT {_COLUMNS} FROM gateway.orders WHERE id = :id")  # noqa: S608 - our own columns
# An order is decided once: who comes second, or later, changes nothing.
_DECIDE: Final = text("""
    UPDATE gateway.orders SET status = :status, shortages = CAST(:shortages AS json), decided_at = now()
    WHERE id = :id AND status = 'pending' RETURNING status
""")
_STATUS: Final = text("SELECT status FROM gateway.orders WHERE id = :id")


class Customer(NamedTuple):
    """Who orders."""

    name: str
    email: str


class Price(NamedTuple):
    """What the catalogue says of a product."""

    name: str
    unit_price_cents: int


class Order(NamedTuple):
    """An order as it is kept; `shortages` say why a rejected one was."""

    id: str
    user_id: str
    status: Status
    currency: str
    items: Sequence[Mapping[str, Any]]
    total_cents: int
    shortages: Sequence[Mapping[str, Any]] | None
    event_id: str
    created_at: datetime
    decided_at: datetime | None


class Decided(NamedTuple):
    """How the order stands after a decision came: `changed` says whether that was the first one.

    `status` None: no order of ours has the id.
    """

    status: Status | None
    changed: bool


async def customer(connection: AsyncConnection, user_id: str) -> Customer | None:
    """The user who orders; None when there is none of this id."""
    id_ = as_uuid(user_id)
    row = (await connection.execute(_CUSTOMER, {"id": id_})).one_or_none() if id_ else None
    return Customer(*row) if row else None


async def prices(connection: AsyncConnection, skus: Sequence[str]) -> dict[str, Price]:
    """What the catalogue says of these products; those that it does not have are left out."""
    rows = await connection.execute(_PRICES, {"skus": list(skus)})
    return {row.sku: Price(row.name, row.unit_price_cents) for row in rows}


async def enter(connection: AsyncConnection, order: OrderCreated, *, event_id: str) -> Order:
    """Enter the order in the caller's transaction, that of its event; it is pending."""
    row = await connection.execute(
        _INSERT,
        {
            "id": order.order_id,
            "user_id": order.user_id,
            "currency": order.currency,
            "items": msgspec.json.encode([item.model_dump() for item in order.items]).decode(),
            "total_cents": order.total_cents,
            "event_id": event_id,
        },
    )
    return _order(row.one())


async def decide(
    engine: AsyncEngine, order_id: str, status: Status, shortages: Sequence[Shortage] = ()
) -> Decided:
    """Confirm or reject a pending order; one that was decided before stays as it is."""
    id_ = as_uuid(order_id)
    if id_ is None:
        return Decided(None, changed=False)
    written = msgspec.json.encode([one.model_dump() for one in shortages]).decode() if shortages else None
    async with engine.begin() as connection:
        values = {"id": id_, "status": status, "shortages": written}
        changed = (await connection.execute(_DECIDE, values)).one_or_none()
        if changed is not None:
            return Decided(status, changed=True)
        return Decided((await connection.execute(_STATUS, {"id": id_})).scalar_one_or_none(), changed=False)


class Orders:
    """Reads orders; raises what SQLAlchemy raises when Postgres is away."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._reads = engine.execution_options(isolation_level="AUTOCOMMIT")

    async def find(self, order_id: str) -> Order | None:
        """The order; None when there is none of this id."""
        id_ = as_uuid(order_id)
        if id_ is None:
            return None
        async with self._reads.connect() as connection:
            row = (await connection.execute(_ONE, {"id": id_})).one_or_none()
        return _order(row) if row else None

    async def page(
        self, *, user_id: str | None, status: Status | None, after: str | None, limit: int
    ) -> tuple[Sequence[Order], str | None]:
        """A page of orders, newest first, and the id after which the next one begins."""
        wanted = {"user_id": user_id, "status": status}
        given: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
        conditions = [f"{name} = :{name}" for name in given]
        if after is not None:
            given["after"] = after
            conditions.append("id < :after")
        where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        query = text(
            f"SELECT {_COLUMNS} FROM gateway.orders {where} ORDER BY id DESC LIMIT :limit"  # noqa: S608 - our own names, the values are parameters
        )
        async with self._reads.connect() as connection:
            rows = (await connection.execute(query, {**given, "limit": limit + 1})).all()
        found = [_order(row) for row in rows[:limit]]
        return found, found[-1].id if len(rows) > limit else None


def _order(row: Any) -> Order:
    return Order(
        id=row[0],
        user_id=row[1],
        status=row[2],
        currency=row[3],
        items=msgspec.json.decode(row[4]),
        total_cents=row[5],
        shortages=msgspec.json.decode(row[6]) if row[6] else None,
        event_id=row[7],
        created_at=row[8],
        decided_at=row[9],
    )
