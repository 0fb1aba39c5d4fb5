"""A service: its name, handlers and resources in, a FastStream application that works on jobs out.

`python -m email_service` and `faststream run email_service.app:app --workers 2` both run it.
"""

import asyncio
import inspect
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple
from uuid import uuid4

import uvloop
from faststream import FastStream
from faststream.redis import RedisBroker
from faststream.specification import AsyncAPI

from shared import VERSION, garbage
from shared.bus import Bus, Routes
from shared.bus.jetstream import NatsConnection
from shared.bus.redis_streams import UNAVAILABLE, RedisClient, connect
from shared.bus.subscribers import JetStreamBroker, subscribe_nats, subscribe_redis
from shared.clock import SystemClock
from shared.contracts import Event
from shared.errors import SettingsError
from shared.health import HealthServer, NotReady
from shared.jobs.children import Children
from shared.jobs.executor import Executor
from shared.jobs.handlers import Handler, Handlers, fill
from shared.jobs.registry import WorkerRecord, started_at
from shared.jobs.store import JobStore, Terms
from shared.jobs.worker import Worker
from shared.settings import Settings
from shared.telemetry import LoopWatch, Metrics, Tracing, configure_logging, configure_tracing, get_logger

# FastStream takes None for silence, though the type says otherwise; our own lines tell more.
_SILENT: Any = None


class Host(NamedTuple):
    """The program that a hosted service works in: it has logging, traces, metrics and health of its own."""

    tracing: Tracing
    metrics: Metrics


Resources = Callable[[Tracing], AbstractAsyncContextManager[tuple[object, ...]]]
"""Opens what the handlers ask for: a mailer, a database; closed after the last job has ended."""


class Service(FastStream):
    """One service of the system. Build one in app.py; nothing is opened before it starts."""

    def __init__(
        self,
        name: str,
        handlers: Handlers,
        settings: Settings,
        *,
        resources: Resources | None = None,
        store: Callable[[RedisClient, Terms], JobStore] = JobStore,
    ) -> None:
        self.name = name
        self.settings = settings
        self.handlers = tuple(handlers)
        self._resources = resources or _nothing
        self._make_store = store
        self._stack = AsyncExitStack()
        self._told_to_stop = asyncio.Event()
        self._worker: Worker | None = None
        self._nats: NatsConnection | None = None
        self._takes_jobs = False
        self._host: Host | None = None
        self._metrics_port = settings.metrics_port
        self._arguments: dict[str, Mapping[str, Any]] = {}
        routes = Routes.parse(settings.bus_routes, settings.buses)
        redis_broker = RedisBroker(settings.redis_url.get_secret_value(), logger=_SILENT)
        brokers: list[Any] = [redis_broker]
        for handler in self.handlers:
            self._on_redis(redis_broker, handler, events="redis" in routes.enabled)
        if "nats" in routes.enabled:
            nats_broker = JetStreamBroker(settings.nats_url.get_secret_value(), logger=_SILENT)
            brokers.append(nats_broker)
            for handler in self.handlers:
                self._on_nats(nats_broker, handler)
        super().__init__(
            *brokers,
            logger=_SILENT,
            specification=AsyncAPI(title=f"Trunkline {name}", version=VERSION),
            on_startup=[self._number, self._open],
            after_startup=[self._ready],
            on_shutdown=[self._drain],
            after_shutdown=[self._close],
        )

    def main(self) -> None:
        """Run until SIGTERM or SIGINT; code 2 for a wrong setting, 1 when Redis is away at the start."""
        try:
            uvloop.run(self._run_to_the_end())
        except SettingsError as error:
            sys.exit(_complain(self.name, str(error), code=2))
        except UNAVAILABLE as error:
            sys.exit(_complain(self.name, f"REDIS_URL: no answer at the start: {error}", code=1))

    async def start_within(self, host: Host) -> None:
        """Take jobs inside another program, until stop(); what opening raises leaves nothing open."""
        self._host = host
        try:
            await self.start()
        except BaseException:
            await self._stack.aclose()
            raise

    def exit(self) -> None:
        """Stop, once the start is through."""
        super().exit()
        self._told_to_stop.set()

    async def _run_to_the_end(self) -> None:
        # FastStream's run() does the same, but wakes ten times a second to see whether it was told to stop.
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.exit)
        await self.start()
        await self._told_to_stop.wait()
        await self.stop()
        if self._worker is not None and (abandoned := self._worker.abandoned):
            # The end of the loop would wait for handlers that swallow each cancellation, for ever.
            get_logger().error("service.left_behind", handlers=abandoned)
            os._exit(0)

    def _number(self, worker_id: int | None = None) -> None:
        """`faststream run --workers N` numbers its processes from 0: each has a metrics port of its own."""
        if self.settings.metrics_port and worker_id:
            self._metrics_port = self.settings.metrics_port + worker_id

    async def _open(self) -> None:
        """Open everything that does not depend on the brokers, in the order of need."""
        settings = self.settings
        worker_id = f"{self.name}-{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:6]}"
        tracing, metrics = self._host or await self._own_process(worker_id)
        bus = await self._stack.enter_async_context(
            Bus.open(settings, tracing=tracing, metrics=metrics, name=self.name)
        )
        # A handler may ask for the bus as for any resource: `bus: Bus`, to enqueue jobs.
        provided = (bus, *await self._stack.enter_async_context(self._resources(tracing)))
        self._arguments = {
            handler.name: fill(handler, provided, by="app.py")
            for handler in self.handlers
            if handler.isolation == "loop"
        }
        children = await self._stack.enter_async_context(
            Children.open(self.handlers, log_level=settings.log_level, log_format=settings.log_format)
        )
        redis = connect(settings.redis_url)
        self._stack.push_async_callback(redis.aclose)
        if "nats" in bus.routes.enabled:
            self._nats = NatsConnection(settings.nats_url, name=worker_id)
            await self._nats.open()
            self._stack.push_async_callback(self._nats.close)
        store = self._make_store(
            redis,
            Terms(
                worker=worker_id,
                version=VERSION,
                lease=settings.lease,
                result_ttl=settings.result_ttl,
                dead_ttl=settings.dead_ttl,
            ),
        )
        executor = Executor(
            bus=bus,
            store=store,
            tracing=tracing,
            metrics=metrics,
            clock=SystemClock(),
            worker=worker_id,
            version=VERSION,
            children=children,
            arguments=self._arguments,
        )
        self._worker = Worker(
            self.handlers,
            settings=settings,
            record=WorkerRecord(
                id=worker_id,
                service=self.name,
                version=VERSION,
                handlers=[handler.name for handler in self.handlers],
                host=socket.gethostname(),
                pid=os.getpid(),
                started_at=started_at(),
                places={handler.name: handler.concurrency for handler in self.handlers},
            ),
            redis=redis,
            store=store,
            executor=executor,
        )
        await self._worker.start()
        if self._host is None:
            health = HealthServer(
                self._metrics_port,
                {"bus": bus.check, "handlers": self._check},
                metrics,
                host=settings.metrics_host,
            )
            try:
                await health.start()
            except OSError as error:
                raise SettingsError(f"METRICS_PORT: {error}") from error
            self._stack.push_async_callback(health.stop)

    async def _own_process(self, worker_id: str) -> Host:
        """What a service sets up for the process that is its own."""
        settings = self.settings
        configure_logging(self.name, level=settings.log_level, format=settings.log_format)
        watch = LoopWatch(settings.loop_blocked_after)
        await watch.start()
        self._stack.push_async_callback(watch.stop)
        tracing = configure_tracing(self.name, VERSION, worker_id)
        self._stack.push_async_callback(tracing.close)
        return Host(tracing, Metrics(service=self.name, version=VERSION))

    async def _ready(self) -> None:
        await self._started().announce()
        self._takes_jobs = True
        if self._host is None:
            garbage.settle()
        get_logger().info("service.ready", handlers=[handler.name for handler in self.handlers])

    async def _check(self) -> None:
        """Ready is who takes jobs: from the announcement of the handlers to the order to stop."""
        if not self._takes_jobs:
            raise NotReady("starting or draining")

    async def _drain(self) -> None:
        self._takes_jobs = False
        if self._worker is not None:
            await self._worker.drain(self.settings.grace)

    async def _close(self) -> None:
        await self._stack.aclose()

    def _on_redis(self, broker: RedisBroker, handler: Handler, *, events: bool) -> None:
        subscribe_redis(
            broker,
            handler.name,
            handler.event_type,
            self._function(handler),
            lambda: self._started().redis_intake(handler, events=events),
        )

    def _on_nats(self, broker: JetStreamBroker, handler: Handler) -> None:
        subscribe_nats(
            broker,
            handler.name,
            handler.event_type,
            self._function(handler),
            lambda: self._started().nats_intake(handler, self._connection()),
        )

    def _started(self) -> Worker:
        if self._worker is None:
            raise RuntimeError("the service has not started")
        return self._worker

    def _connection(self) -> NatsConnection:
        if self._nats is None:
            raise RuntimeError("the service has not started")
        return self._nats

    def _function(self, handler: Handler) -> Callable[..., Any]:
        """What FastStream sees of a handler: a function of its event alone, one for each bus."""

        async def handle(event: Event) -> object:
            returned = handler.function(event, **self._arguments.get(handler.name, {}))
            return await returned if inspect.isawaitable(returned) else returned

        handle.__name__ = handle.__qualname__ = handler.name
        handle.__doc__ = handler.function.__doc__
        handle.__annotations__ = {"event": handler.contract, "return": None}
        return handle


@asynccontextmanager
async def _nothing(_: Tracing) -> AsyncGenerator[tuple[object, ...]]:
    yield ()


def _complain(name: str, why: str, *, code: int) -> int:
    sys.stderr.write(f"{name}: {why}\n")
    return code
