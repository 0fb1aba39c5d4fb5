"""One service on one bus, in this process: what each behaviour of a job is tried on, on Redis and NATS."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar

import nats
import pytest
from nats.js import JetStreamContext

from shared.bus import Bus
from shared.bus.jetstream import durable_of
from shared.bus.redis_streams import connect
from shared.contracts import Envelope, Event, wrap
from shared.jobs import Handlers, JobReader, JobRecord
from shared.service import Service
from shared.settings import Secret, Settings
from shared.telemetry import Metrics, Tracing
from tests.until import until


class Asked(Event):
    """Something is asked of a handler; `what` says what it shall do."""

    type: ClassVar[str] = "lab.asked"

    n: int
    what: str = "answer"


class Answered(Event):
    """A handler answered."""

    type: ClassVar[str] = "lab.answered"

    n: int


@dataclass
class Lab:
    """A bus, and services on it that a test starts and stops."""

    bus_name: str
    settings: Settings
    bus: Bus
    redis: Any
    jetstream: JetStreamContext
    services: list[Service] = field(default_factory=list)

    @asynccontextmanager
    async def service(self, handlers: Handlers) -> AsyncGenerator[Service]:
        service = Service("lab", handlers, self.settings)
        await service.start()
        try:
            yield service
        finally:
            await service.stop()

    async def publish(self, *events: Event) -> list[Envelope]:
        envelopes = [wrap(event, source="/lab") for event in events]
        assert (await self.bus.publish(envelopes)).keys() == {envelope.id for envelope in envelopes}
        return envelopes

    async def job(self, handler: str, event_id: str) -> JobRecord | None:
        return (await JobReader(self.redis).get([f"{handler}:{event_id}"]))[0]

    async def reaches(
        self, state: str, handler: str, envelope: Envelope, *, within: float = 10.0
    ) -> JobRecord:
        async def there() -> JobRecord | None:
            job = await self.job(handler, envelope.id)
            return job if job is not None and job.state == state else None

        return await until(there, within=within, what=f"{handler} {state}")

    async def dead_letters(self, handler: str) -> list[JobRecord]:
        ids = await self.redis.zrange(f"dead:{{{handler}}}", 0, -1)
        records = await JobReader(self.redis).get([f"{handler}:{id_.decode()}" for id_ in ids])
        return [record for record in records if record is not None]

    async def publish_raw(self, data: bytes, headers: dict[str, str] | None = None) -> None:
        """Bytes, as somebody else's program would publish them."""
        if self.bus_name == "redis":
            fields: dict[Any, Any] = {"data": data, **(headers or {})}
            await self.redis.xadd("events:lab.asked", fields)
        else:
            await self.jetstream.publish("events.lab.asked", data, headers=headers, timeout=5)

    async def unacknowledged(self, handler: str) -> int:
        """How many messages of the handler are taken and not acknowledged, or not taken yet."""
        if self.bus_name == "redis":
            groups = await self.redis.xinfo_groups("events:lab.asked")
            group = next(group for group in groups if group["name"] == handler.encode())
            return group["pending"] + (group["lag"] or 0)
        info = await self.jetstream.consumer_info("EVENTS", durable_of(handler))
        return (info.num_ack_pending or 0) + (info.num_pending or 0)

    async def settles(self, handler: str) -> None:
        async def empty() -> bool:
            return await self.unacknowledged(handler) == 0

        await until(empty, what="nothing pending")


MakeLab = Callable[..., Awaitable[Lab]]


@pytest.fixture(params=["redis", "nats"])
def bus_name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
async def make_lab(bus_name: str, redis_url: str, nats_url: str) -> AsyncGenerator[MakeLab]:
    async with AsyncExitStack() as stack:

        async def make(**settings: Any) -> Lab:
            usual: dict[str, Any] = {
                "redis_url": Secret(redis_url),
                "nats_url": Secret(nats_url),
                "bus_routes": f"*={bus_name}",
                "log_level": "error",
                "lease": timedelta(seconds=2),
                "grace": timedelta(seconds=5),
            }
            chosen = Settings(**{**usual, **settings})
            bus = await stack.enter_async_context(
                Bus.open(chosen, tracing=Tracing(), metrics=Metrics(service="lab", version="0"))
            )
            redis = connect(Secret(redis_url))
            stack.push_async_callback(redis.aclose)
            connection = await nats.connect(nats_url)
            stack.push_async_callback(connection.close)
            return Lab(bus_name, chosen, bus, redis, connection.jetstream())

        yield make


@pytest.fixture
async def lab(make_lab: MakeLab) -> Lab:
    return await make_lab()


async def all_of(lab: Lab, state: str, handler: str, envelopes: Sequence[Envelope]) -> None:
    """Every job of these events has reached the state."""
    ids = [f"{handler}:{envelope.id}" for envelope in envelopes]

    async def there() -> bool:
        jobs = await JobReader(lab.redis).get(ids)
        return all(job is not None and job.state == state for job in jobs)

    await until(there, within=30, what=f"{len(ids)} jobs {state}")
