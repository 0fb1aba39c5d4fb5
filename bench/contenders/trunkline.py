"""Trunkline on Redis: events of about 200 bytes, one service with handlers that do next to nothing."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import ClassVar

import uvloop

from bench import tally
from bench.contenders.command import NAP_S, Contender, main, payload, python
from shared.bus import Bus
from shared.bus.redis_streams import connect
from shared.contracts import Event, wrap
from shared.jobs import Handlers, JobReader, JobRecord
from shared.service import Service
from shared.settings import Settings

CONCURRENCY = 256
_NOTE = "default settings; status, result, attempts, log, leases, retry and deduplication on; tracing off"
_ENVIRONMENT = {"LOG_LEVEL": "warning", "OTEL_SDK_DISABLED": "true"}
CONTENDER = Contender(
    title="Trunkline",
    packages=("faststream", "redis", "msgspec"),
    variants={"": {**_ENVIRONMENT, "BUSES": "redis", "BUS_ROUTES": "*=redis"}},
    acknowledges=True,
    keeps_result=True,
    note=_NOTE,
)
ON_NATS = Contender(
    title="Trunkline on NATS",
    packages=("faststream", "nats-py", "msgspec"),
    variants={"": {**_ENVIRONMENT, "BUSES": "redis+nats", "BUS_ROUTES": "*=nats"}},
    acknowledges=True,
    keeps_result=True,
    bus="nats",
    note=_NOTE,
)
_CHUNK = 1_000


class Parcel(Event):
    """An order-like event."""

    type: ClassVar[str] = "bench.parcel"

    parcel_id: str
    sku: str
    note: str


class SlowParcel(Parcel):
    """One that is waited for."""

    type: ClassVar[str] = "bench.slow_parcel"


class Stamped(Event):
    """It is known when this one was sent."""

    type: ClassVar[str] = "bench.stamped"

    sent_ns: int


handlers = Handlers("bench")


@handlers.on(Parcel, concurrency=CONCURRENCY)
async def noop(event: Parcel) -> dict[str, str]:
    """Do nothing, and say so: what is measured is all that is around it."""
    tally.hit()
    return {"taken": event.sku}


@handlers.on(SlowParcel, concurrency=CONCURRENCY)
async def nap(event: SlowParcel) -> dict[str, str]:
    """Wait as for an answer of another system."""
    await asyncio.sleep(NAP_S)
    tally.hit()
    return {"taken": event.sku}


@handlers.on(Stamped, concurrency=CONCURRENCY)
async def stamp(event: Stamped) -> None:
    """Tell how long it took to get here."""
    tally.latency(time.time_ns() - event.sent_ns)


def parcel(n: int) -> Parcel:
    """The n-th event."""
    parcel_id, sku, note = payload(n)
    return Parcel(parcel_id=parcel_id, sku=sku, note=note)


def slow_parcel(n: int) -> SlowParcel:
    """The n-th event that is waited for."""
    parcel_id, sku, note = payload(n)
    return SlowParcel(parcel_id=parcel_id, sku=sku, note=note)


class Producer:
    """What a program does that publishes events."""

    bus: Bus

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[None]:
        """One bus for the process."""
        async with Bus.open(Settings.load(), name="bench") as self.bus:
            yield

    async def prepare(self) -> None:
        """Let the service register its handlers: a consumer must exist before what is published for it."""
        service = Service("bench", handlers, Settings.load())
        await service.start()
        await service.stop()

    async def one(self, n: int) -> None:
        """One event."""
        await self._publish(parcel, n, 1)

    async def many(self, first: int, count: int) -> None:
        """Events in one batch."""
        await self._publish(parcel, first, count)

    async def nap(self, n: int) -> None:
        """One event that is waited for."""
        await self._publish(slow_parcel, n, 1)

    async def naps(self, first: int, count: int) -> None:
        """Events that are waited for, in one batch."""
        await self._publish(slow_parcel, first, count)

    async def stamp(self, sent_ns: int) -> None:
        """One event that tells when it was sent."""
        await self.bus.publish([wrap(Stamped(sent_ns=sent_ns), source="/bench")])

    async def states(self) -> int:
        """How many jobs are kept as succeeded, with a result and their one attempt."""
        redis = connect(Settings.load().redis_url)
        try:
            reader, found = JobReader(redis), 0
            ids = [_job_id(key) async for key in redis.scan_iter("job:{bench.*", count=_CHUNK)]
            for at in range(0, len(ids), _CHUNK):
                found += sum(_is_whole(job) for job in await reader.get(ids[at : at + _CHUNK]))
            return found
        finally:
            await redis.aclose()

    async def _publish(self, make: Callable[[int], Event], first: int, count: int) -> None:
        envelopes = [wrap(make(n), source="/bench") for n in range(first, first + count)]
        missing = len(envelopes) - len(await self.bus.publish(envelopes))
        if missing:
            raise RuntimeError(f"{missing} of {count} events were not published")


def speak(contender: Contender, module: str) -> None:
    """The command line of this contender, or its worker."""
    producer = Producer()
    main(
        contender,
        enqueue_one=producer.one,
        enqueue_many=producer.many,
        enqueue_nap=producer.nap,
        enqueue_naps=producer.naps,
        enqueue_stamp=producer.stamp,
        prepare=producer.prepare,
        states=producer.states,
        worker_argv=lambda _concurrency, _variant: python(module),
        opened=producer.opened,
        run=uvloop.run,
    )


def _job_id(key: bytes) -> str:
    handler, _, event_id = key.decode().removeprefix("job:{").partition("}:")
    return f"{handler}:{event_id}"


def _is_whole(job: JobRecord | None) -> bool:
    return job is not None and job.state == "succeeded" and job.result is not None and job.attempt == 1


if __name__ == "__main__":
    speak(CONTENDER, "bench.worker")
