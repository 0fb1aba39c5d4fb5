"""The composition of the gateway: settings in, an application out. Here alone is chosen what fills what."""

import os
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from gateway.door.drain import Drain
from gateway.door.idempotency import Idempotency
from gateway.door.keys import KeyCheck, refuse_open_routes
from gateway.door.limits import BodyLimit
from gateway.door.openapi import describe
from gateway.door.prefer import PreferWait
from gateway.door.problems import Problems, answer_refusal
from gateway.files.uploads import Uploads
from gateway.keys.ring import KeyRing
from gateway.routes import (
    asyncapi,
    dead,
    dead_groups,
    dead_replays,
    direct_jobs,
    emails,
    event_lists,
    events,
    explain,
    figures,
    files,
    groups,
    handler_control,
    handlers,
    health,
    job_control,
    jobs,
    keys,
    mass_orders,
    me,
    notifications,
    orders,
    problems,
    products,
    reports,
    scale,
    schedule_orders,
    schedule_preview,
    schedules,
    users,
)
from gateway.running import opened
from gateway.settings import GatewaySettings
from shared import VERSION
from shared.bus import Routes
from shared.db import connect
from shared.telemetry import (
    Metrics,
    TraceMiddleware,
    Tracing,
    configure_tracing,
    get_logger,
    trace_statements,
)


def create_app(settings: GatewaySettings | None = None) -> FastAPI:
    """The gateway; SettingsError when a value is wrong. Connections are opened when it starts."""
    settings = settings or GatewaySettings.load()
    Routes.parse(settings.bus_routes, settings.buses)
    engine = connect(settings.database_url, service="gateway")
    tracing = configure_tracing("gateway", VERSION, f"{socket.gethostname()}-{os.getpid()}")
    trace_statements(engine.sync_engine, tracing)
    metrics = Metrics(service="gateway", version=VERSION)
    drain = Drain()
    ring = KeyRing(settings.api_keys, engine)
    if settings.api_auth == "off":
        get_logger().warning("keys.off", consequence="everybody may do everything")

    app = FastAPI(
        title="Trunkline",
        version=VERSION,
        lifespan=_lifespan(settings, engine, ring, tracing=tracing, metrics=metrics, drain=drain),
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
        exception_handlers={HTTPException: answer_refusal, RequestValidationError: answer_refusal},
        middleware=[
            Middleware(TraceMiddleware, tracing=tracing, metrics=metrics),
            Middleware(Problems),
            Middleware(KeyCheck, keys=None if settings.api_auth == "off" else ring),
            Middleware(Uploads, most_bytes=settings.file_max_bytes),
            Middleware(BodyLimit, body_max=settings.body_max),
            Middleware(PreferWait),
            Middleware(Idempotency, ttl=settings.idempotency_ttl),
            Middleware(events.Straight),
        ],
    )
    app.state.drain = drain
    for resource in (
        event_lists,
        events,
        groups,
        users,
        products,
        orders,
        emails,
        notifications,
        files,
        reports,
        direct_jobs,
        jobs,
        job_control,
        mass_orders,
        explain,
        dead_groups,
        dead_replays,  # both before `dead`, which takes any name below its path for the id of a job
        dead,
        handlers,
        handler_control,
        schedules,
        schedule_preview,
        schedule_orders,
        scale,
        me,
        keys,
        figures,
        asyncapi,
        problems,
        health,
    ):
        app.include_router(resource.router)
    app.openapi = lambda: describe(app, answers_kept_for=settings.idempotency_ttl)
    refuse_open_routes(app)
    return app


def _lifespan(
    settings: GatewaySettings,
    engine: AsyncEngine,
    ring: KeyRing,
    *,
    tracing: Tracing,
    metrics: Metrics,
    drain: Drain,
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncGenerator[None]:
        async with opened(settings, engine, ring, tracing=tracing, metrics=metrics, drain=drain) as parts:
            app.state.parts = parts
            yield
            drain.begin()

    return running
