"""The composition of the gateway: settings in, an application out. Here alone is chosen what fills what."""

import os
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from gateway.backlogs import Backlogs
from gateway.drain import Drain
from gateway.expiry import Expiry
from gateway.explainer import Explainer
from gateway.faults import Faults
from gateway.group_sweep import GroupSweep
from gateway.handler_view import HandlerView
from gateway.idempotency import Idempotency
from gateway.jobs import Jobs
from gateway.keys import KeyCheck, refuse_open_routes
from gateway.ledger import Ledger
from gateway.limits import BodyLimit
from gateway.live import LiveJobs
from gateway.openapi import describe
from gateway.parts import Parts
from gateway.problems import Problems, answer_refusal
from gateway.reconciler import Reconciler
from gateway.recorder import Recorder
from gateway.relay import Relay
from gateway.routes import (
    asyncapi,
    dead,
    direct_jobs,
    emails,
    events,
    explain,
    groups,
    handler_control,
    handlers,
    health,
    job_control,
    jobs,
    problems,
    scale,
    users,
)
from gateway.scale import Scale
from gateway.settings import GatewaySettings
from gateway.streams import StreamSlots
from gateway.unique import UniqueJobs
from shared import VERSION
from shared.bus import Bus, Routes
from shared.bus.redis_streams import Position, UniqueKeys
from shared.bus.redis_streams import connect as connect_redis
from shared.db import connect
from shared.jobs import HandlerControl, HandlerReader, JobControl, JobLog, JobReader, LostJobs, Registry
from shared.telemetry import Metrics, TraceMiddleware, Tracing, configure_tracing, get_logger

_FLUSH_SHARE: Final = 0.3  # of GRACE; requests have had their share before


def create_app(settings: GatewaySettings | None = None) -> FastAPI:
    """The gateway; SettingsError when a value is wrong. Connections are opened when it starts."""
    settings = settings or GatewaySettings.load()
    Routes.parse(settings.bus_routes, settings.buses)
    engine = connect(settings.database_url, service="gateway")
    tracing = configure_tracing("gateway", VERSION, f"{socket.gethostname()}-{os.getpid()}")
    metrics = Metrics(service="gateway", version=VERSION)
    drain = Drain()
    if settings.api_auth == "off":
        get_logger().warning("keys.off", consequence="everybody may do everything")

    app = FastAPI(
        title="Trunkline",
        version=VERSION,
        lifespan=_lifespan(settings, engine, tracing, metrics, drain),
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
        exception_handlers={HTTPException: answer_refusal, RequestValidationError: answer_refusal},
        middleware=[
            Middleware(TraceMiddleware, tracing=tracing, metrics=metrics),
            Middleware(Problems),
            Middleware(KeyCheck, keys=None if settings.api_auth == "off" else settings.api_keys),
            Middleware(BodyLimit, body_max=settings.body_max),
            Middleware(Idempotency, ttl=settings.idempotency_ttl),
        ],
    )
    app.state.drain = drain
    app.router.routes.append(events.straight)
    for resource in (
        events,
        groups,
        users,
        emails,
        direct_jobs,
        jobs,
        job_control,
        explain,
        dead,
        handlers,
        handler_control,
        scale,
        asyncapi,
        problems,
        health,
    ):
        app.include_router(resource.router)
    app.openapi = lambda: describe(app, answers_kept_for=settings.idempotency_ttl)
    refuse_open_routes(app)
    return app


def _lifespan(
    settings: GatewaySettings, engine: AsyncEngine, tracing: Tracing, metrics: Metrics, drain: Drain
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncGenerator[None]:
        """From the first connection to the last; what comes later stands on what came before."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(tracing.close)
            stack.push_async_callback(engine.dispose)
            bus = await stack.enter_async_context(
                Bus.open(settings, tracing=tracing, metrics=metrics, name="gateway")
            )
            relay = await stack.enter_async_context(_relay(settings, engine, bus))
            ledger = await stack.enter_async_context(
                Ledger(engine, hand_over=relay.take, faults=Faults(settings.trunkline_fault))
            )
            redis = connect_redis(settings.redis_url)
            stack.push_async_callback(redis.aclose)
            registry, reader, log = Registry(redis), JobReader(redis), JobLog(redis)
            lookup = Jobs(registry, reader, engine)
            handler_reader, backlogs = HandlerReader(redis), Backlogs(redis, bus.nats)
            live = await stack.enter_async_context(LiveJobs(log))
            drain.on_begin(live.stop)
            recorder = await stack.enter_async_context(
                Recorder(log, reader, registry, engine, hand_over=relay.take)
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
            metrics.watch(
                "trunkline_relay_waiting", "Committed events in memory, on no bus yet.", lambda: relay.waiting
            )
            metrics.watch(
                "trunkline_jobs_queued_again",
                "Jobs whose message a bus had lost, since the start of this process.",
                lambda: reconciler.queued_again,
            )
            app.state.parts = Parts(
                settings=settings,
                engine=engine,
                bus=bus,
                relay=relay,
                ledger=ledger,
                jobs=lookup,
                live=live,
                registry=registry,
                control=JobControl(redis, keep=settings.dead_ttl),
                handlers=HandlerView(registry, handler_reader),
                handler_control=HandlerControl(redis),
                unique=UniqueJobs(UniqueKeys(redis), ledger, engine),
                scale=Scale(registry, handler_reader, backlogs),
                explainer=Explainer(
                    jobs=lookup,
                    reader=reader,
                    registry=registry,
                    handlers=handler_reader,
                    ledger=ledger,
                    relay=relay,
                    backlogs=backlogs,
                    position=Position(redis),
                ),
                stream_slots=StreamSlots(settings.streams_per_key),
                tracing=tracing,
                metrics=metrics,
                drain=drain,
            )
            yield
            drain.begin()

    return running


def _relay(settings: GatewaySettings, engine: AsyncEngine, bus: Bus) -> Relay:
    return Relay(
        engine,
        bus,
        backlog=settings.relay_backlog,
        sweep_every=settings.sweep_every,
        flush_limit=timedelta(seconds=settings.grace.total_seconds() * _FLUSH_SHARE),
    )
