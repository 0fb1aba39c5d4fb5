"""The inventory service on one bus, in this process, with Postgres; and what lies in its tables."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from inventory_service.app import service
from inventory_service.settings import InventorySettings
from inventory_service.tables import reservations, stock
from shared.contracts import Envelope, Event, GoodsReceived, OrderCreated, OrderItem, new_id, wrap
from shared.db import DatabaseUrl, connect
from shared.jobs import JobRecord
from tests.conformance.conftest import Lab, MakeLab, bus_name, make_lab

__all__ = ["bus_name", "make_lab"]  # its fixtures are ours


@pytest.fixture
async def engine(database_url: str) -> AsyncGenerator[AsyncEngine]:
    engine = connect(DatabaseUrl(database_url), service="inventory", pool_size=2)
    yield engine
    await engine.dispose()


@dataclass(frozen=True)
class Inventory:
    """The lab, with the inventory's tables in view."""

    lab: Lab
    engine: AsyncEngine
    settings: InventorySettings

    async def stocked(self, **quantities: int) -> None:
        """Goods come in, as events."""
        goods = [GoodsReceived(sku=sku, quantity=n) for sku, n in quantities.items()]
        for envelope in await self.lab.publish(*goods):
            await self.lab.reaches("succeeded", "inventory.add_stock", envelope)

    async def reserve(self, order: Event | Envelope) -> JobRecord:
        """The order is created; its job in its final state."""
        envelope = wrap(order, source="/lab") if isinstance(order, Event) else order
        await self.lab.bus.publish([envelope])
        return await self.lab.reaches("succeeded", "inventory.reserve_stock", envelope)

    async def available(self) -> dict[str, int]:
        async with self.engine.connect() as connection:
            rows = await connection.execute(select(stock.c.sku, stock.c.available))
            return {row.sku: row.available for row in rows}

    async def reserved(self) -> list[tuple[str, str, int]]:
        async with self.engine.connect() as connection:
            columns = reservations.c
            rows = await connection.execute(
                select(columns.order_id, columns.sku, columns.quantity).order_by(
                    columns.order_id, columns.sku
                )
            )
            return [tuple(row) for row in rows]


@asynccontextmanager
async def running(lab: Lab, database_url: str, **settings: Any) -> AsyncGenerator[InventorySettings]:
    """The whole service, as app.py builds it."""
    usual: dict[str, Any] = lab.settings.model_dump() | {"database_url": DatabaseUrl(database_url)} | settings
    chosen = InventorySettings(**usual)
    running = service(chosen)
    await running.start()
    try:
        yield chosen
    finally:
        await running.stop()


@pytest.fixture
async def inventory(make_lab: MakeLab, database_url: str, engine: AsyncEngine) -> AsyncGenerator[Inventory]:
    lab = await make_lab()
    async with running(lab, database_url) as settings:
        yield Inventory(lab, engine, settings)


def order(order_id: str | None = None, **quantities: int) -> OrderCreated:
    """An order of Ada's: so many of each sku, a euro a piece."""
    items = [OrderItem(sku=sku, quantity=n, unit_price_cents=100) for sku, n in quantities.items()]
    return OrderCreated(
        order_id=order_id or new_id(),
        user_id="7",
        email="ada@example.com",
        name="Ada Lovelace",
        currency="EUR",
        items=items,
        total_cents=sum(item.quantity * item.unit_price_cents for item in items),
    )


def results(jobs: Sequence[JobRecord]) -> list[Any]:
    return [job.to_api()["result"] for job in jobs]
