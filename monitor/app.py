"""The monitor's composition root: settings in, one process that serves out."""

import contextlib
import socket
from collections.abc import Generator

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from monitor.health import Health
from monitor.metrics import MonitorMetrics
from monitor.own_jobs import working
from monitor.settings import Settings
from monitor.site import Site, opened
from monitor.traces.collector import Collector
from monitor.traces.forwarding import Forwarder
from monitor.traces.reader import TraceReader
from monitor.traces.spans import SpanStore
from shared import VERSION
from shared.telemetry import Metrics

log = structlog.get_logger(__name__)

_LOOPBACK = ("127.", "::1", "localhost")
_KEEP_ALIVE_S = 30
_BACKLOG = 512


class CannotListen(Exception):
    """A port cannot be opened; the message names the setting."""


class Monitor:
    """One process: a store, and a server with two sockets. `port` and `otlp_port` are known after open()."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._metrics = MonitorMetrics()
        self._job_metrics = Metrics(service="monitor", version=VERSION)
        self._store = SpanStore(
            settings.monitor_data,
            spans_max=settings.trace_spans_max,
            retention=settings.trace_retention,
            metrics=self._metrics,
        )
        self._forwarder = Forwarder(settings.otlp_forward_url, self._metrics)
        self._sockets: list[socket.socket] = []
        self._server: uvicorn.Server | None = None
        self._site: Site | None = None
        self._open = contextlib.AsyncExitStack()
        self.port = 0
        self.otlp_port = 0

    async def open(self) -> None:
        """Take the ports and the file; CannotListen, FileInUse or OSError when they are not to be had."""
        settings = self._settings
        self._sockets = [
            _listening("PORT", settings.monitor_host, settings.port),
            _listening("OTLP_PORT", settings.otlp_host, settings.otlp_port),
        ]
        self.port, self.otlp_port = (bound.getsockname()[1] for bound in self._sockets)
        await self._store.start()
        await self._forwarder.start()
        health = Health(self._store, self._metrics, self._job_metrics)
        reader = TraceReader(self._store.path)
        self._site = await self._open.enter_async_context(
            opened(settings, reader, health, otlp_port=self.otlp_port)
        )
        collector = Starlette(routes=Collector(self._store, self._forwarder, self._metrics).routes())
        self._server = _Server(
            uvicorn.Config(
                _ByPort(collector, self.otlp_port, self._site.app),
                http="httptools",
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="warning",
                access_log=False,
                server_header=False,
                backlog=_BACKLOG,
                timeout_keep_alive=_KEEP_ALIVE_S,
                timeout_graceful_shutdown=max(int(settings.grace.total_seconds()), 1),
            )
        )
        log.info("monitor.listening", host=settings.monitor_host, port=self.port, otlp_port=self.otlp_port)
        if not settings.api_keys.get_secret_value() and not settings.monitor_host.startswith(_LOOPBACK):
            log.warning("monitor.open_to_the_network", host=settings.monitor_host, hint="set API_KEYS")

    async def run(self) -> None:
        """Serve until stop() is called, then let requests end, write what is queued and close the file."""
        if self._server is None:
            raise RuntimeError("open() comes first")
        try:
            async with working(self._settings, self._job_metrics):
                await self._server.serve(sockets=self._sockets)
        finally:
            await self._open.aclose()
            await self._forwarder.stop()
            await self._store.stop()
        log.info("monitor.stopped")

    def stop(self) -> None:
        """Make run() return soon; calling it twice is harmless."""
        if self._site is not None:
            self._site.stop()
        if self._server is not None:
            self._server.should_exit = True


class _Server(uvicorn.Server):
    """uvicorn raises a signal again after it has stopped, which would end us before the store is closed."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave signals to __main__.py."""
        yield


class _ByPort:
    """One application for one server with two sockets: what comes in on `otlp_port` is the collector's.

    The port is that of the socket; no header can change it.
    """

    def __init__(self, collector: ASGIApp, otlp_port: int, reading: ASGIApp) -> None:
        self._collector = collector
        self._otlp_port = otlp_port
        self._reading = reading

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_otlp = scope["type"] == "http" and scope["server"][1] == self._otlp_port
        await (self._collector if is_otlp else self._reading)(scope, receive, send)


def _listening(setting: str, host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError as error:
        raise CannotListen(f"{setting}: cannot listen on {host} port {port}: {error.strerror}") from error
    return listening
