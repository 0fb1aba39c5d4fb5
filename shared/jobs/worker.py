"""All handlers of one service in one process: receptions and intakes made, announced, drained."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta

from shared.bus import Intake
from shared.bus.jetstream import NatsConnection, NatsIntake
from shared.bus.redis_streams import UNAVAILABLE, RedisClient, RedisIntake
from shared.bus.redis_streams.wire import stream_of
from shared.jobs import keys
from shared.jobs.executor import Executor
from shared.jobs.handlers import Handler
from shared.jobs.reception import Reception
from shared.jobs.registry import Registry, WorkerRecord
from shared.jobs.store import JobStore
from shared.settings import Settings
from shared.telemetry import get_logger


class Worker:
    """One process that works on jobs."""

    def __init__(
        self,
        handlers: Iterable[Handler],
        *,
        settings: Settings,
        record: WorkerRecord,
        redis: RedisClient,
        store: JobStore,
        executor: Executor,
    ) -> None:
        self._handlers = list(handlers)
        self._settings = settings
        self._record = record
        self._redis = redis
        self._registry = Registry(redis)
        self._receptions = {
            handler.name: Reception(handler, executor, store, lease=settings.lease)
            for handler in self._handlers
        }
        self._intakes: list[Intake] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._log = get_logger().bind(worker=record.id)

    @property
    def in_flight(self) -> int:
        """How many jobs run now."""
        return sum(reception.in_flight for reception in self._receptions.values())

    @property
    def abandoned(self) -> int:
        """How many handlers run on after their attempt was ended without them."""
        return sum(reception.abandoned for reception in self._receptions.values())

    async def start(self) -> None:
        """Learn the limits, begin to keep leases and to queue what is due."""
        await asyncio.gather(*(reception.start() for reception in self._receptions.values()))

    async def announce(self) -> None:
        """Say who handles what. Groups and consumers exist by now: what is published from here on is kept."""
        await self._announce()
        self._tasks = [asyncio.create_task(self._stay_announced())]

    def redis_intake(self, handler: Handler, *, events: bool) -> RedisIntake:
        """The handler's own queue, and with `events` the stream of its event type as well."""
        streams = [keys.queue(handler.name)]
        if events:
            streams.insert(0, stream_of(handler.event_type))
        intake = RedisIntake(
            self._redis,
            self._receptions[handler.name],
            streams=streams,
            group=handler.name,
            consumer=self._record.id,
            lease=self._settings.lease,
        )
        self._intakes.append(intake)
        return intake

    def nats_intake(self, handler: Handler, connection: NatsConnection) -> NatsIntake:
        """The messages of its event type on JetStream."""
        intake = NatsIntake(
            connection,
            self._receptions[handler.name],
            handler=handler.name,
            event_type=handler.event_type,
            lease=self._settings.lease,
            window=self._settings.dedupe_window,
        )
        self._intakes.append(intake)
        return intake

    async def drain(self, grace: timedelta) -> None:
        """Take no more, let what runs end within `grace`, hand the rest back, say good-bye."""
        self._log.info("worker.draining", in_flight=self.in_flight)
        for reception in self._receptions.values():
            reception.refuse()
        stopping = [asyncio.create_task(intake.stop()) for intake in self._intakes]
        await asyncio.gather(*(reception.drain(grace) for reception in self._receptions.values()))
        await asyncio.gather(*stopping)
        await asyncio.gather(*(intake.leave() for intake in self._intakes))
        for task in self._tasks:
            task.cancel()
        with suppress(*UNAVAILABLE):
            await self._registry.leave(self._record.id)
        self._log.info("worker.drained")

    async def _announce(self) -> None:
        await self._registry.announce(self._handlers, self._record, lease=self._settings.lease)

    async def _stay_announced(self) -> None:
        while True:
            await asyncio.sleep(self._settings.lease.total_seconds() / 3)
            try:
                await self._announce()
            except UNAVAILABLE as error:
                self._log.warning("worker.announce_failed", error=str(error) or repr(error))
