"""GET / and /traces and /traces/{trace_id} in, pages out; drawn here, so that they need no script."""

import time

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from monitor.door.guard import session_of
from monitor.drawing.layout import Layout
from monitor.traces.jaeger_query import BadQuery, parse_trace_id
from monitor.traces.reader import ReadFailed
from monitor.traces.search import Cursor
from monitor.traces.source import TraceSource
from monitor.traces.waterfall import waterfall

_ON_A_PAGE = 50


class Pages:
    """The pages of the traces; `jaeger_url` says that they are read there, "" that they are our own."""

    def __init__(
        self,
        traces: TraceSource,
        layout: Layout,
        *,
        otlp_port: int,
        has_jobs: bool,
        jaeger_url: str,
        trace_ui_url: str,
    ) -> None:
        self._traces = traces
        self._layout = layout
        self._otlp_port = otlp_port
        self._has_jobs = has_jobs
        self._jaeger_url = jaeger_url
        self._trace_ui_url = trace_ui_url

    def routes(self) -> list[Route]:
        """The list and one trace."""
        return [
            Route("/traces", self.recent),
            Route("/traces/{trace_id}", self.trace),
        ]

    async def recent(self, request: Request) -> Response:
        """The newest traces, of all services or of one."""
        service = request.query_params.get("service") or None
        try:
            after = _cursor(request.query_params.get("after", ""))
        except BadQuery as bad:
            return self._notice(request, 400, "This page cannot be shown", str(bad))
        try:
            services = await self._traces.services()
            traces, older = await self._traces.recent(service=service, after=after, limit=_ON_A_PAGE)
        except ReadFailed as failed:
            return self._notice(request, 503, "The traces cannot be read now", str(failed))
        return self._layout.document(
            session_of(request),
            "traces.html",
            place="/traces",
            title="Traces",
            traces=traces,
            services=services,
            service=service,
            is_first=after is None,
            older=f"{older.start_us}.{older.trace_id.hex()}" if older else None,
            otlp_port=self._otlp_port,
            jaeger_url=self._jaeger_url,
            now_us=time.time_ns() // 1000,
        )

    async def trace(self, request: Request) -> Response:
        """The waterfall of one trace."""
        try:
            trace_id = parse_trace_id(request.path_params["trace_id"])
            spans = await self._traces.trace(trace_id)
        except BadQuery:
            return self._notice(request, 400, "This is no trace id", "A trace id is 32 hexadecimal digits.")
        except ReadFailed as failed:
            return self._notice(request, 503, "The trace cannot be read now", str(failed))
        if not spans:
            return self._notice(
                request,
                404,
                "This trace is not here",
                f"No span of {trace_id.hex()} is stored. It was too old and is deleted, was not sampled, "
                "or its services send their spans elsewhere or have not sent them yet: reload in a moment.",
            )
        drawing = waterfall(spans)
        return self._layout.document(
            session_of(request),
            "trace.html",
            place="/traces",
            title=drawing.rows[0].span.operation or "Trace",
            trace_id=trace_id.hex(),
            drawing=drawing,
            has_jobs=self._has_jobs,
            is_stored_here=not self._jaeger_url,
            trace_link=self._trace_ui_url.replace("{trace_id}", trace_id.hex()),
        )

    def _notice(self, request: Request, status: int, title: str, text: str) -> Response:
        return self._layout.notice(session_of(request), status, title, text)


def _cursor(text: str) -> Cursor | None:
    if not text:
        return None
    start, dot, trace_id = text.partition(".")
    if not (dot and start.isascii() and start.isdigit() and len(start) <= 18):  # noqa: PLR2004 -- fits 64 bits
        raise BadQuery("The place in the list is not readable; begin at its top again.")
    return Cursor(int(start), parse_trace_id(trace_id))
