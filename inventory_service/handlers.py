"""What the inventory takes and gives: orders and goods in; reservations, rejections, changes out."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from inventory_service import shelves, stock
from inventory_service.signing import Message
from inventory_service.webhook import WarehouseBusy, WarehouseGone, Webhook
from shared.clock import from_rfc3339, rfc3339
from shared.contracts import (
    CleanupDue,
    GoodsReceived,
    InventoryChanged,
    InventoryRejected,
    InventoryReserved,
    OrderCreated,
    WarehouseNotified,
)
from shared.db import prune_inbox
from shared.jobs import Handlers, Job, Reject, Retry, Snooze

# Postgres that restarts or fails over is back within minutes: no order is given up for that. The waits add up
# to about 20 min with jitter, the first ones are short, since most errors of a database are over at once.
RETRY = Retry(attempts=30, base=timedelta(milliseconds=200), cap=timedelta(minutes=2))

TIME_LIMIT = timedelta(seconds=30)
"""A reservation takes milliseconds; most of this is for Postgres' own limit of a statement."""

CONCURRENCY = 12
"""Orders of one process at a time: with add_stock's 4 as many as DATABASE_POOL_SIZE keeps open."""


# The schedule that https://www.standardwebhooks.com recommends: ten attempts in a little over three days.
WAREHOUSE_RETRY = Retry.scheduled(
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    *(timedelta(hours=hours) for hours in (2, 5, 10, 14, 20, 24)),
)

WAREHOUSE_TIME_LIMIT = timedelta(seconds=90)
"""More than WAREHOUSE_TIMEOUT may be."""

PATIENCE = timedelta(hours=24)
"""For how long a warehouse that says when to come again postpones a message without costing it an attempt."""


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


@handlers.on(InventoryReserved, retry=WAREHOUSE_RETRY, time_limit=WAREHOUSE_TIME_LIMIT, concurrency=16)
async def notify_warehouse(
    reserved: InventoryReserved, job: Job, warehouse: Webhook
) -> WarehouseNotified | Snooze | Reject | str:
    """Tell the warehouse what is set aside for whom; at least once, under the event's id.

    Whatever it answers but 2xx and 410 is retried by its schedule, or when it says.
    """
    if warehouse.endpoint is None:
        return "nobody is told: WAREHOUSE_URL is not set"
    said_at = job.envelope.attributes.get("time") or rfc3339(datetime.now(UTC))
    message = Message.of(reserved, event_id=job.event_id, said_at=said_at)
    try:
        status = await warehouse.post(message)
    except WarehouseGone as gone:
        return Reject(str(gone))
    except WarehouseBusy as busy:
        if datetime.now(UTC) - from_rfc3339(said_at) < PATIENCE:
            return Snooze(busy.retry_after)
        raise
    return WarehouseNotified(order_id=reserved.order_id, status_code=status, attempts=job.attempt)


@handlers.on(CleanupDue)
async def cleanup(_due: CleanupDue, engine: AsyncEngine, keeping: Keeping) -> dict[str, int]:
    """Forget which jobs had their effect where none of them can come again."""
    return {"inbox": await prune_inbox(engine, older_than=keeping.inbox)}
