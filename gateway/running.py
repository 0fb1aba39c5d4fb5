"""What a running gateway holds open: settings in, its parts out; closed again in the opposite order."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.cleanup import Cleanup
from gateway.door.drain import Drain
from gateway.door.expiry import Expiry
from gateway.door.streams import StreamSlots
from gateway.handlers import handlers
from gateway.history.jobs import Jobs
from gateway.history.live import LiveJobs
from gateway.keys.ring import KeyRing
from gateway.ledger.faults import Faults
from gateway.ledger.group_sweep import GroupSweep
from gateway.ledger.ledger import Ledger
from gateway.ledger.reconciler import Reconciler
from gateway.ledger.recorder import Recorder
from gateway.ledger.relay import Relay
from gateway.ledger.unique import UniqueJobs
from gateway.notifications.cache import PageCache
from gateway.notifications.notifications import Notifications
from gateway.operations.again import RunAgain
from gateway.operations.backlogs import Backlogs
from gateway.operations.explainer import Explainer
from gateway.operations.handler_view import HandlerView
from gateway.operations.mass_orders import MassOrders
from gateway.operations.replaying import Replaying
from gateway.operations.replays import Replays
from gateway.operations.scale import Scale
from gateway.parts import Parts
from gateway.schedules.adoption import Adoption
from gateway.settings import GatewaySettings
from gateway.shop.orders import Orders
from gateway.shop.products import Products
from shared.bus import Bus
from shared.bus.redis_streams import Position, RedisClient, UniqueKeys
from shared.bus.redis_streams import connect as connect_redis
from shared.hosted import Hosted
from shared.jobs import (
    HandlerControl,
    HandlerReader,
    JobControl,
    JobLog,
    JobReader,
    LostJobs,
    Registry,
    WorkerReader,
)
from shared.objects import Objects
from shared.service import Service
from shared.telemetry import Metrics, Tracing

_FLUSH_SHARE: Final = 0.3  # of GRACE; requests have had their share before


@asynccontextmanager
async def opened(
    settings: GatewaySettings,
    engine: AsyncEngine,
    keys: KeyRing,
    *,
    tracing: Tracing,
    metrics: Metrics,
    drain: Drain,
) -> AsyncGenerator[Parts]:
    """The parts of the gateway, opened in the order in which they stand on each other."""
    async with AsyncExitStack() as stack:
        stack.push_async_callback(tracing.close)
        stack.push_async_callback(engine.dispose)
        await stack.enter_async_context(keys)
        bus = await stack.enter_async_context(
            Bus.open(settings, tracing=tracing, metrics=metrics, name="gateway")
        )
        faults = Faults(settings.trunkline_fault)
        relay = await stack.enter_async_context(_relay(settings, engine, bus))
        ledger = await stack.enter_async_context(
            Ledger(engine, hand_over=relay.take, faults=faults, tracing=tracing)
        )
        objects = Objects(settings.files_url)
        redis = connect_redis(settings.redis_url)
        stack.push_async_callback(redis.aclose)
        registry, reader = Registry(redis), JobReader(redis)
        jobs = Jobs(registry, reader, engine)
        standings, backlogs = HandlerReader(redis), Backlogs(redis, bus.nats)
        live = await stack.enter_async_context(LiveJobs(JobLog(redis)))
        drain.on_begin(live.stop)
        await _follow_up(stack, settings, engine=engine, bus=bus, relay=relay, redis=redis, metrics=metrics)
        control, replays = JobControl(redis, keep=settings.dead_ttl), Replays(engine)
        again = RunAgain(control, ledger, jobs.history)
        replaying = await stack.enter_async_context(Replaying(replays, again, jobs.history, engine))
        if settings.handles_events:
            await stack.enter_async_context(
                _consumer(settings, engine, objects, tracing=tracing, metrics=metrics)
            )
        yield Parts(
            settings=settings,
            engine=engine,
            keys=keys,
            bus=bus,
            relay=relay,
            ledger=ledger,
            objects=objects,
            jobs=jobs,
            live=live,
            registry=registry,
            workers=WorkerReader(redis),
            control=control,
            handlers=HandlerView(registry, standings),
            handler_control=HandlerControl(redis),
            unique=UniqueJobs(UniqueKeys(redis), ledger, engine),
            scale=Scale(registry, standings, backlogs),
            explainer=Explainer(
                jobs=jobs,
                reader=reader,
                registry=registry,
                handlers=standings,
                ledger=ledger,
                relay=relay,
                backlogs=backlogs,
                position=Position(redis),
            ),
            again=again,
            mass_orders=MassOrders(jobs, reader, control, again, engine),
            replays=replays,
            replaying=replaying,
            products=Products(engine),
            orders=Orders(engine),
            notifications=Notifications(engine, PageCache(redis)),
            faults=faults,
            stream_slots=StreamSlots(settings.streams_per_key),
            tracing=tracing,
            metrics=metrics,
            drain=drain,
        )


async def _follow_up(
    stack: AsyncExitStack,
    settings: GatewaySettings,
    *,
    engine: AsyncEngine,
    bus: Bus,
    relay: Relay,
    redis: RedisClient,
    metrics: Metrics,
) -> None:
    """The loops that see to it that what was accepted comes to its end, and is known to have."""
    registry, log = Registry(redis), JobLog(redis)
    recorder = await stack.enter_async_context(
        Recorder(log, JobReader(redis), registry, engine, hand_over=relay.take)
    )
    await stack.enter_async_context(GroupSweep(engine, hand_over=relay.take))
    reconciler = await stack.enter_async_context(
        Reconciler(
            engine,
            bus.places,
            LostJobs(redis, keep=settings.dead_ttl),
            registry,
            recorder,
            after=settings.reconcile_after,
            results_kept=settings.result_ttl,
        )
    )
    await stack.enter_async_context(Expiry(engine))
    await stack.enter_async_context(Adoption(engine))
    metrics.watch(
        "trunkline_relay_waiting", "Committed events in memory, on no bus yet.", lambda: relay.waiting
    )
    metrics.watch(
        "trunkline_jobs_queued_again",
        "Jobs whose message a bus had lost, since the start of this process.",
        lambda: reconciler.queued_again,
    )


def _consumer(
    settings: GatewaySettings, engine: AsyncEngine, objects: Objects, *, tracing: Tracing, metrics: Metrics
) -> Hosted:
    """The gateway's own handlers, in this process; they may ask for the engine, and for what is here."""
    cleanup = Cleanup(engine, events_kept=settings.events_kept, audit_kept=settings.audit_kept)

    @asynccontextmanager
    async def resources(_: Tracing) -> AsyncGenerator[tuple[object, ...]]:
        yield (engine, objects, cleanup)

    def make() -> Service:
        return Service("gateway", handlers, settings, resources=resources)

    return Hosted(make, tracing=tracing, metrics=metrics)


def _relay(settings: GatewaySettings, engine: AsyncEngine, bus: Bus) -> Relay:
    return Relay(
        engine,
        bus,
        backlog=settings.relay_backlog,
        sweep_every=settings.sweep_every,
        flush_limit=timedelta(seconds=settings.grace.total_seconds() * _FLUSH_SHARE),
    )
