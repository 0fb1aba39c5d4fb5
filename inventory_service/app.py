"""The composition root: `faststream run inventory_service.app:app`, `python -m inventory_service` run it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

from inventory_service.handlers import Keeping, handlers
from inventory_service.settings import InventorySettings
from inventory_service.webhook import Webhook
from shared.db import connect
from shared.service import Service
from shared.telemetry import Tracing, get_logger, trace_statements

_LONGER = timedelta(days=7)
"""A dead job may be run again until DEAD_TTL is over, and take a while."""


@asynccontextmanager
async def resources(settings: InventorySettings, tracing: Tracing) -> AsyncGenerator[tuple[object, ...]]:
    """What the handlers ask for; closed when the last job has ended."""
    if settings.warehouse is None:
        get_logger().info("warehouse.nobody_to_tell", setting="WAREHOUSE_URL")
    engine = connect(settings.database_url, service="inventory", pool_size=settings.database_pool_size)
    trace_statements(engine.sync_engine, tracing)
    try:
        async with Webhook(settings.warehouse, tracing=tracing) as warehouse:
            yield (engine, warehouse, Keeping(inbox=settings.dead_ttl + _LONGER))
    finally:
        await engine.dispose()


def service(settings: InventorySettings) -> Service:
    """The service with these settings; nothing is opened before it starts."""
    return Service("inventory", handlers, settings, resources=partial(resources, settings))


app = service(InventorySettings.load())
