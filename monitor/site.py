"""The composition of the pages: settings and the traces in, one application with its live views out."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp

from monitor.door.guard import Guard, session_of
from monitor.door.key_ring import KeyRing
from monitor.door.keys import ApiKeys
from monitor.door.login import Login
from monitor.door.sessions import Sessions, secret_of
from monitor.drawing.assets import KeptFiles
from monitor.drawing.layout import MAIL, ONLY_TRACES, PLACES, Layout
from monitor.drawing.render import FOLDER, Renderer
from monitor.health import Health
from monitor.live.bell import Bell
from monitor.live.feeds import Feeds
from monitor.live.page import Page
from monitor.live.serving import Serving
from monitor.mail.mailbox import Mailbox
from monitor.mail.serving import MailContents
from monitor.orders.dead import CancelReplay, Replay
from monitor.orders.handlers import LimitHandler, PauseHandler, ResumeHandler
from monitor.orders.jobs import ManyJobs, OneJob
from monitor.orders.order import Order
from monitor.orders.schedule_edits import AddSchedule, EditSchedule
from monitor.orders.schedules import PauseSchedule, RemoveSchedule, ResumeSchedule, RunSchedule
from monitor.orders.serving import Orders
from monitor.own_jobs import names_redis
from monitor.pages.dead import DeadPage
from monitor.pages.dead_group import DeadGroupPage
from monitor.pages.event import EventPage
from monitor.pages.events import EventsPage
from monitor.pages.flow import FlowPage
from monitor.pages.handler import HandlerPage
from monitor.pages.handlers import HandlersPage
from monitor.pages.job import JobPage
from monitor.pages.jobs import JobsPage
from monitor.pages.mails import MailPage, MailsPage
from monitor.pages.overview import OverviewPage
from monitor.pages.schedule import SchedulePage
from monitor.pages.schedules import SchedulesPage
from monitor.pages.workers import WorkersPage
from monitor.settings import Settings
from monitor.traces.jaeger import EXCEPTION_HANDLERS, JaegerApi
from monitor.traces.jaeger_client import JaegerClient, shown
from monitor.traces.pages import Pages
from monitor.traces.reader import TraceReader
from monitor.traces.source import TraceSource
from shared.api import GatewayApi
from shared.bus.redis_streams import connect
from shared.jobs import JobLog

_AGENT: Final = "trunkline-monitor"


@dataclass(frozen=True)
class Site:
    """The pages, while they are served. Call `stop` first of all when the process is to end."""

    app: ASGIApp
    serving: Serving | None

    def stop(self) -> None:
        """End the streams, which would else keep the process."""
        if self.serving is not None:
            self.serving.stop()


@asynccontextmanager
async def opened(
    settings: Settings, traces: TraceReader, health: Health, *, otlp_port: int
) -> AsyncGenerator[Site]:
    """All pages; only those of traces where nobody said where the gateway is.

    Raises OSError when MONITOR_DATA is of no use.
    """
    renderer = Renderer()
    secret = await asyncio.to_thread(
        secret_of, settings.monitor_secret.get_secret_value(), settings.monitor_data
    )
    sessions = Sessions(secret)
    keys = ApiKeys.parse(settings.api_keys.get_secret_value())
    places = (
        ONLY_TRACES if settings.gateway_url is None else PLACES + ((MAIL,) if settings.monitor_mail else ())
    )
    layout = Layout(renderer, sessions, places)
    ring = KeyRing(keys, None)
    routes: list[BaseRoute] = [
        *JaegerApi(traces).routes(),
        *health.routes(),
        Mount("/static", KeptFiles(directory=FOLDER / "static")),
    ]
    serving: Serving | None = None
    async with _live(settings) as live, _source(settings, traces) as source:
        routes += _trace_pages(settings, source, layout, otlp_port)
        if live is None:
            routes.append(Route("/", _to_traces))
        else:
            api, feeds = live
            ring = KeyRing(keys, api)
            serving = Serving(feeds, api, layout, ring)
            routes += serving.routes(pages(settings, renderer, source))
            if settings.monitor_mail is not None:
                mailbox = Mailbox(settings.monitor_mail)
                routes += serving.routes([MailsPage(renderer, mailbox), MailPage(renderer, mailbox)])
                routes += MailContents(mailbox).routes()
            routes += Orders(api, layout, renderer, sessions, ordered=feeds.ring).routes(orders())
        routes += Login(ring, sessions, renderer).routes()
        faults = {**EXCEPTION_HANDLERS, 404: _nowhere(layout)}
        app = Starlette(routes=_plain_first(routes), exception_handlers=faults)
        yield Site(Guard(app, ring=ring, sessions=sessions), serving)


def pages(settings: Settings, renderer: Renderer, traces: TraceSource) -> list[Page]:
    """Every page that stays true."""
    return [
        OverviewPage(renderer),
        HandlersPage(renderer),
        HandlerPage(renderer),
        JobsPage(renderer),
        JobPage(renderer, trace_ui_url=settings.trace_ui_url),
        DeadPage(renderer),
        DeadGroupPage(renderer),
        WorkersPage(renderer),
        FlowPage(renderer),
        EventsPage(renderer),
        EventPage(renderer, traces, trace_ui_url=settings.trace_ui_url),
        SchedulesPage(renderer),
        SchedulePage(renderer),
    ]


def orders() -> list[Order]:
    """Everything that can be ordered."""
    return [
        OneJob("retry"),
        OneJob("cancel"),
        ManyJobs("retry"),
        ManyJobs("cancel"),
        PauseHandler(),
        ResumeHandler(),
        LimitHandler(),
        Replay("/dead/replay"),
        Replay("/dead/{fingerprint}/replay"),
        CancelReplay(),
        AddSchedule(),
        EditSchedule(),
        PauseSchedule(),
        ResumeSchedule(),
        RunSchedule(),
        RemoveSchedule(),
    ]


@asynccontextmanager
async def _source(settings: Settings, stored: TraceReader) -> AsyncGenerator[TraceSource]:
    """Where the pages read traces."""
    if not settings.jaeger_url:
        yield stored
        return
    async with JaegerClient(settings.jaeger_url) as jaeger:
        yield jaeger


def _trace_pages(settings: Settings, source: TraceSource, layout: Layout, otlp_port: int) -> list[Route]:
    return Pages(
        source,
        layout,
        otlp_port=otlp_port,
        has_jobs=settings.gateway_url is not None,
        jaeger_url=shown(settings.jaeger_url),
        trace_ui_url=settings.trace_ui_url,
    ).routes()


@asynccontextmanager
async def _live(settings: Settings) -> AsyncGenerator[tuple[GatewayApi, Feeds] | None]:
    if settings.gateway_url is None:
        yield None
        return
    redis = connect(settings.redis_url) if names_redis(settings) else None
    try:
        async with (
            GatewayApi(settings.gateway_url, agent=_AGENT) as api,
            Bell(JobLog(redis) if redis is not None else None) as bell,
        ):
            feeds = Feeds(bell)
            try:
                yield api, feeds
            finally:
                await feeds.stop()
    finally:
        if redis is not None:
            await redis.aclose()


def _plain_first(routes: list[BaseRoute]) -> list[BaseRoute]:
    """Paths without parameters before those with: `/jobs/retry` is an order, not the job named retry."""
    return sorted(routes, key=lambda route: str(getattr(route, "path", "")).count("{"))


async def _to_traces(request: Request) -> Response:
    del request
    return RedirectResponse("/traces", status_code=303)


def _nowhere(layout: Layout) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def nowhere(request: Request, error: Exception) -> Response:
        del error
        return layout.notice(session_of(request), 404, "Not here", f"There is no page {request.url.path}.")

    return nowhere
