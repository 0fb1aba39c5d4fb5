"""What the gateway takes from the bus: what became of that which it announced, entered in its own tables.

InventoryReserved, InventoryRejected: the end of an order. InventoryChanged: the stock. FileProcessed,
FileRejected: what is in a file. ReportReady, ReportFailed: what came of a report. CleanupDue: what is old
goes. Each is harmless when it comes twice or out of order: an order is decided once, stock has a version.
"""

from datetime import timedelta
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.cleanup import Cleanup
from gateway.door.uuids import as_uuid
from gateway.files.book import FileBook
from gateway.files.cleanup import remove_orphans
from gateway.reports.book import ReportBook
from gateway.shop import orders, products
from gateway.shop.orders import Decided, Status
from shared.contracts import (
    CleanupDue,
    FileProcessed,
    FileRejected,
    InventoryChanged,
    InventoryRejected,
    InventoryReserved,
    ReportFailed,
    ReportReady,
)
from shared.jobs import Handlers, Job, Retry
from shared.objects import Objects

handlers = Handlers("gateway")

# Each holds one of the connections that requests use, too.
CONCURRENCY: Final = 4

# Postgres may be away for minutes; the order waits for it.
RETRY: Final = Retry(attempts=10, base=timedelta(seconds=1), cap=timedelta(minutes=5))

REPORTS_KEPT_FOR = timedelta(days=365)
"""How long a report is listed; its file is kept for REPORT_TTL."""


@handlers.on(InventoryReserved, retry=RETRY, time_limit=timedelta(minutes=1), concurrency=CONCURRENCY)
async def update_order(event: InventoryReserved, job: Job, engine: AsyncEngine) -> dict[str, Any]:
    """All that the order wants is set aside: it is confirmed."""
    decided = await orders.decide(engine, event.order_id, "confirmed")
    return _told(event.order_id, "confirmed", decided, job)


@handlers.on(InventoryRejected, retry=RETRY, time_limit=timedelta(minutes=1), concurrency=CONCURRENCY)
async def reject_order(event: InventoryRejected, job: Job, engine: AsyncEngine) -> dict[str, Any]:
    """Not all that the order wants is there: it is rejected, and the shortages say why."""
    decided = await orders.decide(engine, event.order_id, "rejected", event.shortages)
    return _told(event.order_id, "rejected", decided, job)


@handlers.on(InventoryChanged, retry=RETRY, time_limit=timedelta(minutes=1), concurrency=CONCURRENCY)
async def project_stock(event: InventoryChanged, engine: AsyncEngine) -> dict[str, Any]:
    """Note what is available now; what is older than what is known is passed over."""
    return {"sku": event.sku, "changed": await products.project(engine, event)}


@handlers.on(CleanupDue, time_limit=timedelta(minutes=30), concurrency=1, total_concurrency=1)
async def cleanup(event: CleanupDue, job: Job, cleanup: Cleanup) -> dict[str, int]:
    """Remove what need not be kept any longer; returns how many rows of each kind."""
    del event
    removed = await cleanup.run()
    job.log.info("gateway.cleaned_up", **removed)
    return removed


@handlers.on(FileProcessed, retry=RETRY, time_limit=timedelta(minutes=1), concurrency=CONCURRENCY)
async def update_file(event: FileProcessed, engine: AsyncEngine) -> dict[str, bool]:
    """What is in a file is known; a file that is gone, or known already, stays as it is."""
    return await _finish(event, engine)


@handlers.on(FileRejected, retry=RETRY, time_limit=timedelta(minutes=1), concurrency=CONCURRENCY)
async def reject_file(event: FileRejected, engine: AsyncEngine) -> dict[str, bool]:
    """A file cannot be used."""
    return await _finish(event, engine)


@handlers.on(CleanupDue, time_limit=timedelta(hours=1), concurrency=1, total_concurrency=1)
async def cleanup_files(event: CleanupDue, engine: AsyncEngine, objects: Objects) -> dict[str, int]:
    """Remove bytes that no file has any more, or never had."""
    del event
    return {"removed": await remove_orphans(objects, FileBook(engine))}


@handlers.on(ReportReady, retry=RETRY, time_limit=timedelta(minutes=1), concurrency=CONCURRENCY)
async def update_report(event: ReportReady, engine: AsyncEngine) -> dict[str, bool]:
    """A report can be fetched; one that is known to be ready stays as it is."""
    return {"changed": await ReportBook(engine).finish(event)}


@handlers.on(ReportFailed, retry=RETRY, time_limit=timedelta(minutes=1), concurrency=CONCURRENCY)
async def fail_report(event: ReportFailed, engine: AsyncEngine) -> dict[str, bool]:
    """A report cannot be made; the reason is kept."""
    return {"changed": await ReportBook(engine).finish(event)}


@handlers.on(CleanupDue, time_limit=timedelta(minutes=30), concurrency=1, total_concurrency=1)
async def cleanup_reports(event: CleanupDue, engine: AsyncEngine) -> dict[str, int]:
    """Forget reports that were asked for long ago."""
    del event
    return {"removed": await ReportBook(engine).forget(older_than=REPORTS_KEPT_FOR)}


def _told(order_id: str, wanted: Status, decided: Decided, job: Job) -> dict[str, Any]:
    """The job's result. An order that somebody else announced is not ours to decide, and no failure."""
    if decided.status is None:
        job.log.info("order.not_ours", order_id=order_id)
    elif decided.status != wanted:
        job.log.warning("order.decided_otherwise", order_id=order_id, status=decided.status, wanted=wanted)
    return {"order_id": order_id, "status": decided.status, "changed": decided.changed}


async def _finish(event: FileProcessed | FileRejected, engine: AsyncEngine) -> dict[str, bool]:
    file_id = as_uuid(event.file_id)
    return {"changed": file_id is not None and await FileBook(engine).finish(event, file_id)}
