"""The composition root: settings in, a scheduler that runs until it is told to stop out."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from scheduler.claims import Claims
from scheduler.handlers import Keeping, handlers
from scheduler.loops import Loops
from scheduler.open_ticks import OpenTicks
from scheduler.outbox import Outbox
from scheduler.seeds import read_seeds
from scheduler.settings import SchedulerSettings
from shared import VERSION
from shared.bus import Bus
from shared.bus.redis_streams import connect as connect_redis
from shared.db import check, connect
from shared.health import HealthServer
from shared.hosted import Hosted
from shared.schedules import book
from shared.service import Service
from shared.telemetry import LoopWatch, Metrics, Tracing, configure_logging, configure_tracing, get_logger

_NAME: Final = "scheduler"
_NOT_DRAINED: Final = 1


class Scheduler:
    """One replica; SettingsError when a setting, or the file of schedules, is wrong."""

    def __init__(self, settings: SchedulerSettings) -> None:
        self._settings = settings
        self._seeds = read_seeds(settings.seeds)
        self._loops: Loops | None = None
        self._is_stopped = False

    async def main(self) -> None:
        """Run until SIGTERM or SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._drain)
        await self.run()

    def stop(self) -> None:
        """Make run() return soon; calling it twice is harmless."""
        self._is_stopped = True
        if self._loops is not None:
            self._loops.stop()

    async def run(self) -> None:
        """Fire schedules until stop(), then publish what was claimed, end the cleanup and close."""
        settings = self._settings
        async with AsyncExitStack() as stack:
            watch = LoopWatch(settings.loop_blocked_after)
            await watch.start()
            stack.push_async_callback(watch.stop)
            configure_logging(_NAME, level=settings.log_level, format=settings.log_format)
            tracing = configure_tracing(_NAME, VERSION, f"{_NAME}-{socket.gethostname()}-{os.getpid()}")
            stack.push_async_callback(tracing.close)
            metrics = Metrics(service=_NAME, version=VERSION)
            engine = connect(settings.database_url, service=_NAME, pool_size=settings.database_pool_size)
            stack.push_async_callback(engine.dispose)
            bus = await stack.enter_async_context(
                Bus.open(settings, tracing=tracing, metrics=metrics, name=_NAME)
            )
            redis = connect_redis(settings.redis_url)
            stack.push_async_callback(redis.aclose)
            outbox = Outbox(engine, bus)
            open_ticks = OpenTicks(engine, redis, results_kept=settings.result_ttl)

            async def seed() -> None:
                await self._seed(engine)

            self._loops = Loops(
                Claims(engine, tracing), outbox, open_ticks, seed=seed, poll=settings.schedules_poll
            )
            if self._is_stopped:
                return
            _watch(metrics, self._loops, outbox)
            await stack.enter_async_context(_cleaning(settings, engine, tracing=tracing, metrics=metrics))
            await self._listen(stack, self._loops, engine, bus, metrics)
            await self._loops.run()
        get_logger().info("scheduler.stopped")

    def _drain(self) -> None:
        """Stop, within GRACE also when Postgres hangs."""
        self.stop()
        asyncio.get_running_loop().call_later(self._settings.grace.total_seconds(), _give_up)

    async def _seed(self, engine: AsyncEngine) -> None:
        async with engine.begin() as connection:
            added = await book.seed(connection, self._seeds)
        get_logger().info("scheduler.ready", schedules_added=added)

    async def _listen(
        self, stack: AsyncExitStack, loops: Loops, engine: AsyncEngine, bus: Bus, metrics: Metrics
    ) -> None:
        async def database() -> None:
            await check(engine)

        health = HealthServer(
            self._settings.metrics_port,
            {"claims": loops.check, "database": database, "bus": bus.check},
            metrics,
            host=self._settings.metrics_host,
        )
        await health.start()
        stack.push_async_callback(health.stop)


def _give_up() -> None:
    """GRACE is over. What was claimed is in Postgres, so nothing is lost by leaving."""
    get_logger().error("scheduler.not_drained")
    os._exit(_NOT_DRAINED)


def _cleaning(
    settings: SchedulerSettings, engine: AsyncEngine, *, tracing: Tracing, metrics: Metrics
) -> Hosted:
    """The handler of cleanup, which waits for Redis by itself: ticks do not."""

    @asynccontextmanager
    async def resources(_: Tracing) -> AsyncGenerator[tuple[object, ...]]:
        yield engine, Keeping(settings.ticks_ttl, settings.ticks_kept)

    def make() -> Service:
        return Service(_NAME, handlers, settings, resources=resources)

    return Hosted(make, tracing=tracing, metrics=metrics)


def _watch(metrics: Metrics, loops: Loops, outbox: Outbox) -> None:
    for what in loops.counts:
        metrics.watch(
            f"trunkline_schedule_ticks_{what}",
            f"Ticks {what}, decided by this process since its start.",
            lambda what=what: loops.counts[what],
        )
    metrics.watch(
        "trunkline_schedule_lateness_seconds",
        "How late the last tick that was on time was claimed.",
        lambda: loops.lateness_s,
    )
    metrics.watch(
        "trunkline_schedule_outbox_waiting", "Events of ticks that wait for a bus.", lambda: outbox.waiting
    )
