"""`python -m bench.oversell`: many clients order the same few products; how fast, and whether all adds up.

Goods and orders are events, the inventory's workers are processes, all servers are durable. Every order must
end, reserved or rejected; no product may be sold more often than it is there, each change is told once.
"""

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random

import uvloop
from sqlalchemy import text

from bench.oversell_audit import Audit, audit, records_of
from inventory_service.app import service
from inventory_service.settings import InventorySettings
from launcher.process import Command, Process
from launcher.servers import NatsServer, PostgresServer, RedisServer
from shared.bus import Bus, BusName
from shared.bus.redis_streams import connect as connect_redis
from shared.contracts import Envelope, GoodsReceived, OrderCreated, OrderItem, wrap
from shared.db import connect, migrate
from shared.jobs import FINAL, JobRecord
from shared.settings import Secret

LIMIT_S = 600.0
_GRACE = timedelta(seconds=30)
_POLL_S = 0.25
_MIGRATIONS = Path(__file__).parents[1] / "inventory_service" / "migrations"
_ENDED = text("SELECT count(*) FROM inbox WHERE job_id LIKE 'inventory.reserve_stock:%'")


@dataclass(frozen=True, kw_only=True)
class Load:
    """How many orders, from whom, for what; `kill`: a worker is killed when a quarter of them has ended."""

    orders: int = 20_000
    clients: int = 200
    products: int = 50
    workers: int = 2
    kill: bool = False

    @property
    def stock(self) -> int:
        """Of each product: about two thirds of what will be wanted."""
        return 4 * self.orders // self.products

    def order(self, n: int) -> OrderCreated:
        """The n-th order: one to three products, one to five of each, always the same ones."""
        random = Random(n)  # noqa: S311 - a repeatable choice, no secret
        items = [
            OrderItem(sku=f"sku-{product}", quantity=random.randint(1, 5), unit_price_cents=100)
            for product in random.sample(range(self.products), random.randint(1, 3))
        ]
        return OrderCreated(
            order_id=f"order-{n}",
            user_id=f"user-{n % self.clients}",
            email="ada@example.com",
            currency="EUR",
            items=items,
            total_cents=sum(item.quantity * item.unit_price_cents for item in items),
        )


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What was measured and what was found."""

    bus: str
    took_s: float
    """From the first publishing to the last order's end."""
    published_s: float
    audit: Audit

    def __str__(self) -> str:
        found = self.audit
        rate = found.orders / self.took_s
        return (
            f"{self.bus}: {found.orders} orders in {self.took_s:.1f} s, {rate:,.0f} orders/s "
            f"(published in {self.published_s:.1f} s), {found.reserved} reserved, {found.rejected} rejected, "
            f"{found.again} ran more than once, {found.left} goods left of {found.stocked}; "
            f"{'; '.join(found.faults) or 'all adds up'}"
        )


async def oversell(load: Load, settings: InventorySettings) -> Figures:
    """Put the load on a migrated, empty system of these settings and audit what became of it."""
    await _make_groups(settings)
    engine, redis = connect(settings.database_url, service="inventory"), connect_redis(settings.redis_url)
    try:
        async with Bus.open(settings, name="bench") as bus, _workers(load.workers, settings) as workers:
            goods = [GoodsReceived(sku=f"sku-{n}", quantity=load.stock) for n in range(load.products)]
            stocked = await _publish(bus, [wrap(one, source="/bench") for one in goods])
            await _all_end(lambda: records_of(redis, "inventory.add_stock", stocked))

            async def ended() -> int:
                async with engine.connect() as connection:
                    return (await connection.execute(_ENDED)).scalar_one()

            loop = asyncio.get_running_loop()
            began = loop.time()
            order_each = [asyncio.create_task(_client(bus, load, n)) for n in range(load.clients)]
            if load.kill:
                await _reached(ended, load.orders // 4)
                await workers[0].kill()
            orders = [envelope for ordered in await asyncio.gather(*order_each) for envelope in ordered]
            published_s = loop.time() - began
            await _reached(ended, load.orders)
            records = await _all_end(lambda: records_of(redis, "inventory.reserve_stock", orders))
            took_s = loop.time() - began
        found = await audit(engine, records, stock=load.stock, products=load.products)
        return Figures(bus=settings.bus_routes[2:], took_s=took_s, published_s=published_s, audit=found)
    finally:
        await redis.aclose()
        await engine.dispose()


async def _client(bus: Bus, load: Load, client: int) -> list[Envelope]:
    """One client's orders, one after the other."""
    return [
        (await _publish(bus, [wrap(load.order(n), source="/bench")]))[0]
        for n in range(client, load.orders, load.clients)
    ]


async def _publish(bus: Bus, envelopes: list[Envelope]) -> list[Envelope]:
    missing = envelopes
    while missing:
        there = await bus.publish(missing)
        missing = [envelope for envelope in missing if envelope.id not in there]
    return envelopes


async def _reached(count: Callable[[], Awaitable[int]], goal: int) -> None:
    async with asyncio.timeout(LIMIT_S):
        while await count() < goal:  # noqa: ASYNC110 - other processes count
            await asyncio.sleep(_POLL_S)


async def _all_end(read: Callable[[], Awaitable[Sequence[JobRecord | None]]]) -> list[JobRecord]:
    async with asyncio.timeout(LIMIT_S):
        while True:
            jobs = await read()
            ended = [job for job in jobs if job is not None and job.state in FINAL]
            if len(ended) == len(jobs):
                return ended
            await asyncio.sleep(_POLL_S)


async def _make_groups(settings: InventorySettings) -> None:
    """A consumer must exist before what is published for it."""
    inventory = service(settings)
    await inventory.start()
    await inventory.stop()


@asynccontextmanager
async def _workers(count: int, settings: InventorySettings) -> AsyncGenerator[list[Process]]:
    environment = {
        **os.environ,
        "REDIS_URL": settings.redis_url.get_secret_value(),
        "NATS_URL": settings.nats_url.get_secret_value(),
        "DATABASE_URL": settings.database_url.get_secret_value(),
        "BUS_ROUTES": settings.bus_routes,
        "LOG_LEVEL": settings.log_level,
        "LEASE": str(settings.lease.total_seconds()),
    }
    command = (sys.executable, "-m", "inventory_service")
    workers = [
        Process.start(Command(f"inventory.{number}", command, env=environment), _say)
        for number in range(1, count + 1)
    ]
    try:
        yield workers
    finally:
        await asyncio.gather(*(worker.stop(_GRACE) for worker in workers))


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


async def _measure(bus: BusName, load: Load) -> Figures:
    """On servers of its own, which fsync before they say that they have something."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        servers = (
            RedisServer(folder / "redis"),
            NatsServer(folder / "nats"),
            PostgresServer(folder / "postgres"),
        )
        await asyncio.gather(*(server.start() for server in servers))
        try:
            redis, nats, postgres = (Secret(server.url) for server in servers)
            await migrate(postgres, {"inventory": _MIGRATIONS})
            settings = InventorySettings(
                redis_url=redis,
                nats_url=nats,
                database_url=postgres,
                bus_routes=f"*={bus}",
                log_level="warning",
                lease=timedelta(seconds=5),
            )
            return await oversell(load, settings)
        finally:
            await asyncio.gather(*(server.delete() for server in servers))


async def _main(buses: Sequence[BusName], load: Load) -> int:
    found = [await _measure(bus, load) for bus in buses]
    sys.stdout.write("".join(f"{figures}\n" for figures in found))
    return 1 if any(figures.audit.faults for figures in found) else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.oversell")
    parser.add_argument("--bus", choices=["redis", "nats"], action="append")
    parser.add_argument("--orders", type=int, default=20_000)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--products", type=int, default=50)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kill", action="store_true", help="kill -9 one worker in the middle")
    chosen = vars(parser.parse_args())
    buses: list[BusName] = chosen.pop("bus") or ["redis", "nats"]
    sys.exit(uvloop.run(_main(buses, Load(**chosen))))
