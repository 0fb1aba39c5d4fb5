"""What the inventory takes and gives: orders and goods in; reservations, rejections, changes out."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from inventory_service import shelves, stock
from shared.contracts import (
    CleanupDue,
    GoodsReceived,
    InventoryChanged,
    InventoryRejected,
    InventoryReserved,
    OrderCreated,
)
from shared.db import prune_inbox
from shared.jobs import Handlers, Job, Reject, Retry

# Postgres that restarts or fails over is back within minutes: no order is given up for that. The waits add up
# to about 20 min with jitter, the first ones are short, since most errors of a database are over at once.
RETRY = Retry(attempts=30, base=timedelta(milliseconds=200), cap=timedelta(minutes=2))

TIME_LIMIT = timedelta(seconds=30)
"""A reservation takes milliseconds; most of this is for Postgres' own limit of a statement."""

CONCURRENCY = 12
"""Orders of one process at a time: with add_stock's 4 as many as DATABASE_POOL_SIZE keeps open."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long the inventory keeps what it only needs for a while."""

    inbox: timedelta


handlers = Handlers("inventory")


@handlers.on(OrderCreated, retry=RETRY, time_limit=TIME_LIMIT, concurrency=CONCURRENCY)
async def reserve_stock(
    order: OrderCreated, job: Job, engine: AsyncEngine
) -> stock.Reservation | InventoryReserved | InventoryRejected | Reject:
    """Set aside all that the order wants, or nothing; once, in the commit of the job's outcome."""
    async with job.once(engine) as tx:
        found = await shelves.take(tx, order.order_id, order.items)
        if found is None:
            return tx.outcome(stock.decide_again(order, await shelves.reserved(tx, order.order_id)))
        return tx.outcome(stock.decide(order, found))


@handlers.on(GoodsReceived, retry=RETRY, time_limit=TIME_LIMIT, concurrency=4)
async def add_stock(goods: GoodsReceived, job: Job, engine: AsyncEngine) -> InventoryChanged | Reject:
    """Put goods on the shelf, a new one where the sku is new; a correction below zero is refused."""
    async with job.once(engine) as tx:
        now = await shelves.put(tx, goods.sku, goods.quantity)
        if now is None:
            return tx.outcome(stock.below_zero(goods, await shelves.available(tx, goods.sku)))
        return tx.outcome(stock.received(goods, *now))


@handlers.on(CleanupDue)
async def cleanup(_due: CleanupDue, engine: AsyncEngine, keeping: Keeping) -> dict[str, int]:
    """Forget which jobs had their effect where none of them can come again."""
    return {"inbox": await prune_inbox(engine, older_than=keeping.inbox)}
