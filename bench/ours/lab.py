"""One measurement's servers and processes of ours: what is wanted in, a Lab that is gone afterwards out."""

import asyncio
import os
import secrets
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

import msgspec

from bench import tally
from bench.contenders.trunkline import Parcel, parcel
from bench.ours.nats_bulk import NatsBulk
from bench.ours.worker import service
from launcher.ports import free_port
from launcher.probes import http_ok
from launcher.process import Command, Process, ignore_line, until_ready
from launcher.servers import NatsServer, PostgresServer, RedisServer
from shared.bus import Bus, BusName
from shared.bus.redis_streams import connect
from shared.bus.redis_streams.wire import stream_of
from shared.contracts import Envelope, wrap
from shared.settings import Secret, Settings

SOURCE = "/bench"
POLL_S = 0.01
_START_LIMIT = timedelta(seconds=60)
_GRACE = timedelta(seconds=30)
_AT_ONCE = 5_000


class Lab:
    """Servers of its own, in a folder of its own; `open` one for a measurement."""

    def __init__(self, folder: Path, *, bus: BusName, redis: RedisServer, nats: NatsServer | None) -> None:
        self.folder = folder
        self.bus = bus
        self.redis = redis
        self.nats = nats
        self.postgres: PostgresServer | None = None
        self.api_key = secrets.token_hex(16)

    @classmethod
    @asynccontextmanager
    async def open(
        cls, bus: BusName = "redis", *, durable: bool = False, postgres: PostgresServer | None = None
    ) -> AsyncGenerator["Lab"]:
        """Redis, and NATS where that is the bus. `durable` makes Redis fsync before each answer.

        Postgres is the caller's, who migrated it.
        """
        async with AsyncExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="trunkline-bench-")))
            redis = RedisServer(folder / "redis", durable=durable)
            nats = NatsServer(folder / "nats", durable=durable) if bus == "nats" else None
            for server in (redis, nats):
                if server is not None:
                    stack.push_async_callback(server.delete)
                    await server.start()
            lab = cls(folder, bus=bus, redis=redis, nats=nats)
            lab.postgres = postgres
            yield lab

    @property
    def settings(self) -> Settings:
        """What the bench itself publishes by."""
        return Settings(
            redis_url=Secret(self.redis.url),
            nats_url=Secret(self.nats.url if self.nats else "nats://127.0.0.1:4222"),
            buses="redis" if self.nats is None else "redis+nats",
            bus_routes=f"*={self.bus}",
            log_level="warning",
        )

    @property
    def environment(self) -> dict[str, str]:
        """What its processes get; nothing is traced unless somebody says so."""
        settings = self.settings
        return {
            **os.environ,
            "REDIS_URL": settings.redis_url.get_secret_value(),
            "NATS_URL": settings.nats_url.get_secret_value(),
            "BUSES": settings.buses,
            "BUS_ROUTES": settings.bus_routes,
            "LOG_LEVEL": "warning",
            "OTEL_SDK_DISABLED": "true",
            "DATABASE_URL": self.postgres.url if self.postgres else "",
            "FILES_URL": (self.folder / "files").as_uri(),
            "API_KEYS": f"{self.api_key}=publish+read+operate",
        }

    async def make_groups(self, *, takers: int = 1, due: bool = False) -> None:
        """A consumer must exist before what is published for it."""
        for_a_moment = service(self.settings, takers=takers, due=due)
        await for_a_moment.start()
        await for_a_moment.stop()

    async def preload(
        self, first: int, count: int, *, traceparent: Callable[[int], str] | None = None
    ) -> float:
        """Publish parcels first .. first + count - 1; returns the seconds that it took."""
        began = time.monotonic()
        async with AsyncExitStack() as stack:
            send: Callable[[Sequence[Envelope]], Awaitable[None]]
            if self.bus == "nats":
                send = (await stack.enter_async_context(NatsBulk.open(self.settings))).publish
            else:
                bus = await stack.enter_async_context(Bus.open(self.settings, name="bench"))
                send = partial(publish, bus)
            for at in range(first, first + count, _AT_ONCE):
                numbers = range(at, min(at + _AT_ONCE, first + count))
                await send(
                    [
                        wrap(parcel(n), source=SOURCE, traceparent=traceparent(n) if traceparent else None)
                        for n in numbers
                    ]
                )
        return time.monotonic() - began

    @asynccontextmanager
    async def worker(
        self,
        *,
        takers: int = 1,
        due: bool = False,
        ready: bool = False,
        variables: Mapping[str, str] | None = None,
    ) -> AsyncGenerator[Path]:
        """One worker process; yields the folder of its tally, at once or when the worker is `ready`."""
        folder = Path(tempfile.mkdtemp(prefix="tally-", dir=self.folder))
        health = free_port()
        words = ("bench.ours.worker", str(takers), *(["--due"] if due else []))
        process = start(
            words,
            {**self.environment, tally.FOLDER: str(folder), "METRICS_PORT": str(health), **(variables or {})},
        )
        try:
            if ready:
                await until_ready(process, lambda: http_ok(health, "/readyz"), _START_LIMIT)
            yield folder
            _must_run(process)
        finally:
            await process.stop(_GRACE)

    @asynccontextmanager
    async def gateway(self, *, handles_events: bool = True) -> AsyncGenerator[tuple[int, Process]]:
        """The gateway, ready; yields its port and its process."""
        port = free_port()
        process = start(
            ("bench.ours.gateway",),
            {**self.environment, "PORT": str(port), "HANDLES_EVENTS": str(handles_events)},
        )
        try:
            await until_ready(process, lambda: http_ok(port, "/readyz"), _START_LIMIT)
            yield port, process
            _must_run(process)
        finally:
            await process.stop(_GRACE)


async def publish(bus: Bus, events: Sequence[Envelope]) -> None:
    """Publish all of them; RuntimeError when the bus did not take one."""
    published = await bus.publish(events)
    if len(published) != len(events):
        raise RuntimeError(f"{len(events) - len(published)} of {len(events)} events were not published")


async def drained(folder: Path, jobs: int, *, limit: timedelta) -> tally.Count:
    """The count once so many jobs have run; TimeoutError says how many had when the limit was over."""
    until = time.monotonic() + limit.total_seconds()
    while (count := tally.read(folder)).jobs < jobs:
        if time.monotonic() > until:
            raise TimeoutError(f"{count.jobs} of {jobs} jobs had run after {limit.total_seconds():g} s")
        await asyncio.sleep(POLL_S)
    return count


def start(words: tuple[str, ...], environment: Mapping[str, str], *, python: str = sys.executable) -> Process:
    """`python -m words...`; it ends with this process."""
    return Process.start(Command(words[0], (python, "-m", *words), env=environment), ignore_line)


async def used_bytes(lab: Lab) -> int:
    """What all that is in Redis takes."""
    async with connect(Secret(lab.redis.url)) as redis:
        return (await redis.info("memory"))["used_memory"]


async def published(lab: Lab) -> int:
    """How many parcels lie in Redis; those that a handler has done with are gone."""
    async with connect(Secret(lab.redis.url)) as redis:
        return await redis.xlen(stream_of(Parcel.type))


async def answer(words: tuple[str, ...], *, limit: timedelta) -> dict[str, float]:
    """Run `python -m words...` to its end and read the line of JSON that it prints."""
    process = start(words, os.environ)
    try:
        async with asyncio.timeout(limit.total_seconds()):
            code = await process.exited()
    finally:
        process.kill_now()
    lines = process.last_lines()
    if code != 0 or not lines:
        raise RuntimeError(f"{' '.join(words)} ended with {code}: {' / '.join(lines[-3:])}")
    return msgspec.json.decode(lines[-1], type=dict[str, float])


def _must_run(process: Process) -> None:
    if process.exit_code is not None:
        raise RuntimeError(
            f"{process.command.name} ended with {process.exit_code}: {' / '.join(process.last_lines()[-3:])}"
        )
