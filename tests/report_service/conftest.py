"""A shop whose figures are known, and a workshop that makes reports about it."""

from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from report_service.making import Workshop
from report_service.read_model import ReadModel
from report_service.settings import ReportSettings
from shared.contracts import OrderCreated, OrderItem, ReportReady, ReportRequested, UserRegistered
from shared.db import DatabaseUrl, connect
from shared.objects import Objects
from shared.settings import Secret
from tests.conftest import Servers, own_database

NASTY = 'Zoë #panic("x") $x$ *b* <script>alert(1)</script> =1+1 &amp; 山田 🙂'
NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)
FIRST, LAST = date(2026, 11, 1), date(2026, 11, 3)
TEA, MUG, KETTLE = "TEA-GREEN", "MUG-01", "KETTLE-" + "X" * 57


def order(order_id: str, user_id: str, *items: tuple[str, int, int], currency: str = "EUR") -> OrderCreated:
    return OrderCreated(
        order_id=order_id,
        user_id=user_id,
        email=f"{user_id}@example.com",
        currency=currency,
        items=[OrderItem(sku=sku, quantity=n, unit_price_cents=price) for sku, n, price in items],
        total_cents=sum(n * price for _, n, price in items),
    )


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


async def fill(model: ReadModel) -> None:
    """In Berlin: an order on the 1st shortly before midnight, one shortly after it, and three more."""
    await model.user_registered(UserRegistered(user_id="u1", name=NASTY, email="u1@example.com"), at(1, 8))
    await model.order_created(order("=1+1", "u1", (TEA, 2, 450), (MUG, 1, 1299)), at(1, 22, 30))
    await model.order_decided("=1+1", "confirmed", at(1, 22, 31))
    await model.order_created(order("#panic()", "u1", (MUG, 2, 1299)), at(1, 23, 30))
    await model.order_decided("#panic()", "confirmed", at(1, 23, 31))
    await model.order_created(order("o-3", "u1", (TEA, 1, 450)), at(2, 10))
    await model.order_decided("o-3", "rejected", at(2, 11))
    await model.order_created(order("o-4", "u1", (KETTLE, 1, 8900)), at(3, 10))
    await model.order_created(order("o-5", "u2", (TEA, 3, 700), currency="JPY"), at(3, 10))
    await model.order_decided("o-5", "confirmed", at(3, 11))
    await model.order_created(order("o-6", "u1", (TEA, 100, 450)), at(5, 10))
    await model.order_decided("o-6", "confirmed", at(5, 11))


@pytest.fixture(scope="module")
def shop_url(servers: Servers, migrated: str) -> Iterator[str]:
    """A database with the shop in it; no test of the module changes it."""

    async def write(url: str) -> None:
        engine = connect(DatabaseUrl(url), service="report", pool_size=1)
        await fill(ReadModel(engine))
        await engine.dispose()

    with own_database(servers, migrated) as url:
        servers.background.run(write(url))
        yield url


@dataclass
class Making:
    """Makes reports and gives their bytes."""

    workshop: Workshop

    async def __call__(self, kind: str, format_: str, **more: object) -> bytes:
        ready = await self.ready(kind, format_, **more)
        assert ready.size_bytes > 0
        return await self.workshop.objects.read_all(ready.file_key, limit_bytes=10_000_000)

    async def ready(self, kind: str, format_: str, **more: object) -> ReportReady:
        return await self.workshop.make(asked(kind, format_, **more), now=NOW, tell=nobody)

    def limited(self, **settings: object) -> "Making":
        chosen = self.workshop.settings.model_copy(update=settings)
        return Making(replace(self.workshop, settings=chosen))


async def nobody(done: float, total: float, note: str) -> None:
    """Does not listen."""


def asked(kind: str, format_: str = "json", **more: object) -> ReportRequested:
    values: dict[str, object] = {
        "report_id": f"r-{kind}",
        "kind": kind,
        "format": format_,
        "first_day": FIRST,
        "last_day": LAST,
        **({"user_id": "u1"} if kind == "customer_statement" else {}),
        **more,
    }
    return ReportRequested.model_validate(values)


@pytest.fixture
async def engine(database_url: str) -> AsyncGenerator[AsyncEngine]:
    """A database of the test's own, still empty."""
    engine = connect(DatabaseUrl(database_url), service="report", pool_size=2)
    yield engine
    await engine.dispose()


@pytest.fixture
async def making(shop_url: str, tmp_path: Path) -> AsyncGenerator[Making]:
    """Makes reports about the shop, whose days are Berlin's."""
    engine = connect(DatabaseUrl(shop_url), service="report", pool_size=1)
    settings = ReportSettings(
        database_url=Secret(shop_url),
        files_url=Secret(tmp_path.as_uri()),
        report_time_zone=ZoneInfo("Europe/Berlin"),
        report_issuer="Tea & Mugs #shop",
    )
    yield Making(Workshop(engine, Objects(settings.files_url), settings))
    await engine.dispose()
