"""/livez, /readyz and /metrics of the monitor."""

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from monitor.metrics import MonitorMetrics
from monitor.traces.spans import SpanStore
from shared.telemetry import Metrics


class Health:
    """Open to everybody: they hold numbers, and nothing that a span said."""

    def __init__(self, store: SpanStore, metrics: MonitorMetrics, job_metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics
        self._job_metrics = job_metrics

    def routes(self) -> list[Route]:
        """The paths that probes and Prometheus ask for."""
        return [
            Route("/livez", self.live),
            Route("/readyz", self.ready),
            Route("/metrics", self.numbers),
        ]

    async def live(self, request: Request) -> Response:
        """The process answers."""
        del request
        return PlainTextResponse("ok\n")

    async def ready(self, request: Request) -> Response:
        """Spans can be stored; a 503 says why not."""
        del request
        fault = self._store.fault()
        if fault:
            return PlainTextResponse(f"{fault}\n", status_code=503)
        return PlainTextResponse("ok\n")

    async def numbers(self, request: Request) -> Response:
        """The numbers of this process."""
        del request
        return Response(
            self._metrics.exposition() + self._job_metrics.render(), media_type=CONTENT_TYPE_LATEST
        )
