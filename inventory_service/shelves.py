"""Stock in Postgres: what an order wants or what came in, in a job's transaction; what is there now out."""

from collections.abc import Sequence

from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import insert

from inventory_service.stock import Shelf
from inventory_service.tables import reservations, stock
from shared.contracts import OrderItem, StockLine
from shared.jobs.once import Effect

# One round trip for an order of any length. `held` locks the rows in the order of their names, so that two
# orders never wait for each other crosswise, and reads them as they are then, whatever was committed since
# the statement began. Nothing is taken before all are held. The table's CHECK stands behind it.
_TAKE = text("""
    WITH wanted AS (
        SELECT sku, quantity
        FROM unnest(CAST(:skus AS text[]), CAST(:quantities AS bigint[])) AS line (sku, quantity)
    ), held AS MATERIALIZED (
        SELECT sku, available, version FROM stock
        WHERE sku = ANY (CAST(:skus AS text[])) ORDER BY sku FOR UPDATE
    ), ruling AS (
        SELECT
            bool_and(coalesce(held.available, 0) >= wanted.quantity) AS is_enough,
            EXISTS (SELECT FROM reservations WHERE order_id = :order_id) AS is_known
        FROM wanted LEFT JOIN held USING (sku)
    ), taken AS (
        UPDATE stock
        SET available = stock.available - wanted.quantity, version = stock.version + 1, updated_at = now()
        FROM wanted, ruling
        WHERE ruling.is_enough AND NOT ruling.is_known
            AND stock.sku = wanted.sku AND stock.available >= wanted.quantity
        RETURNING stock.sku, wanted.quantity, stock.available, stock.version
    ), noted AS (
        INSERT INTO reservations (order_id, sku, quantity) SELECT :order_id, sku, quantity FROM taken
    )
    SELECT
        wanted.sku,
        wanted.quantity,
        coalesce(taken.available, held.available, 0) AS available,
        coalesce(taken.version, held.version, 0) AS version,
        taken.sku IS NOT NULL AS taken,
        ruling.is_known
    FROM ruling, wanted LEFT JOIN held USING (sku) LEFT JOIN taken USING (sku)
    ORDER BY wanted.sku COLLATE "C"
""")


async def take(tx: Effect, order_id: str, items: Sequence[OrderItem]) -> list[Shelf] | None:
    """Set aside all items for the order, or none where one is short; None: it has a reservation already.

    Waits for other orders that are about to take the same skus.
    """
    wanted = {
        "order_id": order_id,
        "skus": [item.sku for item in items],
        "quantities": [item.quantity for item in items],
    }
    rows = (await tx.execute(_TAKE, wanted)).all()
    if rows[0].is_known:
        return None
    return [Shelf(row.sku, row.quantity, row.available, row.version, row.taken) for row in rows]


async def reserved(tx: Effect, order_id: str) -> list[StockLine]:
    """What is set aside for the order by now."""
    rows = await tx.execute(
        select(reservations.c.sku, reservations.c.quantity)
        .where(reservations.c.order_id == order_id)
        .order_by(reservations.c.sku)
    )
    return [StockLine(sku=row.sku, quantity=row.quantity) for row in rows]


async def put(tx: Effect, sku: str, quantity: int) -> tuple[int, int] | None:
    """Add goods, of a new sku too; how many are there now and the version of that.

    None when a negative quantity takes more than there is, which changes nothing.
    """
    if quantity < 0:
        # No INSERT: the table's CHECK would see the new row before it sees that there is one already.
        statement = (
            update(stock)
            .where(stock.c.sku == sku, stock.c.available >= -quantity)
            .values(
                available=stock.c.available + quantity, version=stock.c.version + 1, updated_at=text("now()")
            )
            .returning(stock.c.available, stock.c.version)
        )
    else:
        new = insert(stock).values(sku=sku, available=quantity, version=1)
        statement = new.on_conflict_do_update(
            index_elements=[stock.c.sku],
            set_={
                "available": stock.c.available + new.excluded.available,
                "version": stock.c.version + 1,
                "updated_at": text("now()"),
            },
        ).returning(stock.c.available, stock.c.version)
    row = (await tx.execute(statement)).one_or_none()
    return None if row is None else (row.available, row.version)


async def available(tx: Effect, sku: str) -> int:
    """How many are there; 0 of a sku that nobody knows."""
    return (await tx.execute(select(stock.c.available).where(stock.c.sku == sku))).scalar() or 0
