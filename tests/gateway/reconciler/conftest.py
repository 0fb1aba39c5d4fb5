"""A ledger, both buses, a service that a test starts and stops, and a reconciler that is driven by hand."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

import nats
import pytest
from nats.js import JetStreamContext
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.ledger.ledger import Ledger
from gateway.ledger.reconciler import Reconciler
from gateway.ledger.recorder import Recorder
from gateway.ledger.registered import RegisteredHandlers
from gateway.ledger.relay import Relay
from shared.bus import Bus
from shared.bus.redis_streams import connect as connect_redis
from shared.contracts import Envelope, Event, wrap
from shared.db import connect
from shared.jobs import Handlers, JobLog, JobReader, JobRecord, LostJobs, Registry
from shared.jobs.store import JobStore, Terms
from shared.service import Service
from shared.settings import Secret, Settings
from shared.telemetry import Metrics, Tracing
from tests.until import until

NEVER = timedelta(hours=1)
AT_ONCE = timedelta(milliseconds=1)


class Asked(Event):
    """Something is asked of the handlers of a lab."""

    type: ClassVar[str] = "lab.asked"

    n: int


class Other(Event):
    """Nobody here asks for it."""

    type: ClassVar[str] = "lab.other"


async def wait_a_moment() -> None:
    """Longer than the age from which on an open event is looked at here."""
    await asyncio.sleep(5 * AT_ONCE.total_seconds())


def counting(*names: str) -> tuple[Handlers, dict[str, list[int]]]:
    """Handlers of these names, and what each of them has seen."""
    handlers, seen = Handlers("lab"), {name: list[int]() for name in names}

    def add(name: str) -> None:
        async def handle(event: Asked) -> None:
            seen[name].append(event.n)

        handle.__name__ = name
        handlers.on(Asked)(handle)

    for name in names:
        add(name)
    return handlers, seen


@dataclass
class House:
    """What the gateway has, put together for tests."""

    bus_name: str
    settings: Settings
    engine: AsyncEngine
    redis: Any
    jetstream: JetStreamContext
    bus: Bus
    ledger: Ledger
    relay: Relay
    recorder: Recorder
    reconciler: Reconciler
    registry: Registry

    def forget_handlers(self) -> None:
        """Let the reconciler ask the registry again, as after a restart of the gateway."""
        self.reconciler._handlers = RegisteredHandlers(self.registry)

    @asynccontextmanager
    async def service(self, handlers: Handlers) -> AsyncGenerator[Service]:
        """A service with these handlers, while it is entered."""
        service = Service("lab", handlers, self.settings)
        await service.start()
        try:
            yield service
        finally:
            await service.stop()

    async def register(self, handlers: Handlers) -> None:
        """A service was there, and is not any more: its handlers are known, nobody works."""
        async with self.service(handlers):
            pass

    async def accept(self, *events: Event, extensions: dict[str, str] | None = None) -> list[Envelope]:
        """Events in the ledger, published and marked."""
        envelopes = [wrap(event, source="/lab", extensions=extensions) for event in events]
        await self.ledger.accept(envelopes)

        async def marked() -> bool:
            ((left,),) = await self.rows("SELECT count(*) FROM gateway.events WHERE published_at IS NULL")
            return left == 0

        await until(marked, within=30)
        return envelopes

    async def reconcile(self, *, times: int = 1) -> int:
        """So many rounds of the reconciler; how many jobs were queued again."""
        return sum([await self.reconciler.reconcile() for _ in range(times)])

    async def lose_messages(self) -> None:
        """The bus loses its messages, and nothing else."""
        if self.bus_name == "redis":
            await self.redis.delete("events:lab.asked")
        else:
            await self.jetstream.delete_stream("EVENTS")

    async def move_due(self, handler: str) -> int:
        """Queue the jobs whose wait is over, as any worker does; nobody takes them."""
        terms = Terms(worker="mover", version="0", lease=NEVER, result_ttl=NEVER, dead_ttl=NEVER)
        return (await JobStore(self.redis, terms).move_due(handler)).moved

    async def jobs(self, handler: str, envelopes: Sequence[Envelope]) -> list[JobRecord | None]:
        return await JobReader(self.redis).get([f"{handler}:{envelope.id}" for envelope in envelopes])

    async def all_reach(self, state: str, handler: str, envelopes: Sequence[Envelope]) -> list[JobRecord]:
        async def there() -> list[JobRecord]:
            jobs = await self.jobs(handler, envelopes)
            return [job for job in jobs if job is not None and job.state == state]

        async def all_there() -> list[JobRecord] | None:
            found = await there()
            return found if len(found) == len(envelopes) else None

        return await until(all_there, within=30, what=f"{len(envelopes)} jobs {state}")

    async def queued(self, handler: str) -> int:
        """How many entries the handler's own queue holds."""
        return await self.redis.xlen(f"queue:{{{handler}}}")

    async def settled(self) -> set[str]:
        found = await self.rows("SELECT id::text FROM gateway.events WHERE settled_at IS NOT NULL")
        return {row[0] for row in found}

    async def rows(self, query: str, **values: object) -> Sequence[Any]:
        async with self.engine.begin() as connection:
            result = await connection.execute(text(query), values)
            return result.fetchall() if result.returns_rows else []


@pytest.fixture(params=["redis", "nats"])
def bus_name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
async def house(bus_name: str, redis_url: str, nats_url: str, database_url: str) -> AsyncGenerator[House]:
    settings = Settings(
        redis_url=Secret(redis_url),
        nats_url=Secret(nats_url),
        bus_routes=f"*={bus_name}",
        log_level="error",
        lease=timedelta(seconds=2),
        grace=timedelta(seconds=5),
    )
    async with AsyncExitStack() as stack:
        engine = connect(Secret(database_url), service="gateway")
        stack.push_async_callback(engine.dispose)
        redis = connect_redis(settings.redis_url)
        stack.push_async_callback(redis.aclose)
        nats_client = await nats.connect(nats_url)
        stack.push_async_callback(nats_client.close)
        metrics = Metrics(service="lab", version="0")
        bus = await stack.enter_async_context(Bus.open(settings, tracing=Tracing(), metrics=metrics))
        relay = await stack.enter_async_context(
            Relay(
                engine,
                bus,
                backlog=10_000,
                sweep_every=timedelta(seconds=1),
                flush_limit=timedelta(seconds=5),
            )
        )
        ledger = await stack.enter_async_context(Ledger(engine, hand_over=relay.take))
        registry = Registry(redis)
        recorder = Recorder(JobLog(redis), JobReader(redis), registry, engine)
        reconciler = Reconciler(
            engine,
            bus.places,
            LostJobs(redis, keep=NEVER),
            registry,
            recorder,
            after=AT_ONCE,
            results_kept=NEVER,
        )
        yield House(
            bus_name,
            settings,
            engine,
            redis,
            nats_client.jetstream(),
            bus,
            ledger,
            relay,
            recorder,
            reconciler,
            registry,
        )
