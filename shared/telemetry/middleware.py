"""The first thing a request meets: its trace and request id, and, when it ends, its span, number and line.

Pure ASGI: Starlette's BaseHTTPMiddleware would run the app in another task and hide the context.
"""

import re
import time
from random import getrandbits
from typing import TYPE_CHECKING, Any, Final

from structlog.contextvars import bind_contextvars, reset_contextvars

from shared.telemetry import names
from shared.telemetry.logs import get_logger
from shared.telemetry.spans import error_type_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, MutableMapping

    from shared.telemetry.metrics import Metrics
    from shared.telemetry.spans import Span
    from shared.telemetry.traces import Tracing

    Scope = MutableMapping[str, Any]
    AsgiMessage = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[AsgiMessage]]
    Send = Callable[[AsgiMessage], Awaitable[None]]
    App = Callable[[Scope, Receive, Send], Awaitable[None]]

QUIET_AGENT: Final = b"trunkline-monitor"
"""Who asks again and again on behalf of those who look: what it reads is a line at the level debug only."""
HEALTH_PATHS: Final = frozenset({"/livez", "/readyz", "/metrics"})
_SANE_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_READING: Final = frozenset({"GET", "HEAD"})
_CLIENT_ERROR: Final = 400
_SERVER_ERROR: Final = 500


class TraceMiddleware:
    """Wraps an app; `skip` are paths that are neither traced, counted nor logged.

    Each other response carries X-Trace-Id and X-Request-Id (the caller's, if 1 to 128 of A-Z a-z 0-9 . _ -).
    """

    def __init__(
        self,
        app: "App",
        tracing: "Tracing",
        *,
        metrics: "Metrics | None" = None,
        skip: "Iterable[str]" = HEALTH_PATHS,
    ) -> None:
        self._app = app
        self._tracing = tracing
        self._metrics = metrics
        self._skip = frozenset(skip)
        self._log = get_logger()

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Serve one connection; anything but HTTP passes through untouched."""
        if scope["type"] != "http" or scope["path"] in self._skip:
            await self._app(scope, receive, send)
            return
        traceparent, request_id, agent = _identity(scope)
        method = scope["method"] if scope["method"] in names.KNOWN_METHODS else names.OTHER_METHOD
        with self._tracing.request(method, scope["path"], traceparent=traceparent) as span:
            tokens = bind_contextvars(trace_id=span.trace_id, request_id=request_id)
            try:
                is_quiet = agent == QUIET_AGENT and method in _READING
                await self._serve(
                    scope, receive, send, method=method, span=span, request_id=request_id, is_quiet=is_quiet
                )
            finally:
                reset_contextvars(**tokens)

    async def _serve(
        self,
        scope: "Scope",
        receive: "Receive",
        send: "Send",
        *,
        method: str,
        span: "Span",
        request_id: str,
        is_quiet: bool,
    ) -> None:
        added = [(b"x-trace-id", span.trace_id.encode()), (b"x-request-id", request_id.encode())]
        status: int | None = None

        async def send_with_identity(message: "AsgiMessage") -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), *added]}
            await send(message)

        started_at = time.perf_counter()
        mount = scope.get("root_path", "")
        error: BaseException | None = None
        try:
            await self._app(scope, receive, send_with_identity)
        except BaseException as raised:  # to note it; cancelling a request, too, ends it
            error = raised
            raise
        finally:
            took_s = time.perf_counter() - started_at
            route = _route(scope, mount)
            self._conclude(
                span, method=method, route=route, status=status, took_s=took_s, error=error, is_quiet=is_quiet
            )

    def _conclude(
        self,
        span: "Span",
        *,
        method: str,
        route: str | None,
        status: int | None,
        took_s: float,
        error: BaseException | None,
        is_quiet: bool,
    ) -> None:
        if route is not None:
            span.rename(f"{method} {route}")
            span.set(names.HTTP_ROUTE, route)
        fields: dict[str, object] = {
            "method": method,
            "route": route,
            "status": status,
            "took_s": round(took_s, 6),
        }
        if isinstance(error, Exception):
            # The server above us answers what raised: 500, unless the answer had begun.
            status = fields["status"] = status or _SERVER_ERROR
            self._log.error("http.request", **fields, error_type=error_type_of(error), exc_info=error)
        elif status is None:
            self._log.info("http.request", **fields)  # the client left before an answer
        elif status >= _SERVER_ERROR:
            span.fail(str(status))
            self._log.warning("http.request", **fields)
        else:
            tell = self._log.debug if is_quiet and status < _CLIENT_ERROR else self._log.info
            tell("http.request", **fields)
        if status is not None:
            span.set(names.HTTP_RESPONSE_STATUS_CODE, status)
            if self._metrics is not None:
                self._metrics.request_finished(method, route, status, took_s)


def _identity(scope: "Scope") -> tuple[str | None, str, bytes]:
    """The traceparent, the request id (made where it is missing or odd) and the agent of the headers."""
    traceparents: list[bytes] = []
    request_id = agent = b""
    for name, value in scope["headers"]:
        if name == b"traceparent":
            traceparents.append(value)
        elif name == b"x-request-id":
            request_id = value
        elif name == b"user-agent":
            agent = value
    # Two of them contradict each other: a new trace, as for a malformed one.
    traceparent = traceparents[0].decode("latin-1").strip() if len(traceparents) == 1 else None
    if _SANE_REQUEST_ID.fullmatch(request_id):
        return traceparent, request_id.decode("ascii"), agent
    # No secret: from `secrets` it would cost five times as much.
    return traceparent, f"{getrandbits(128):032x}", agent


def _route(scope: "Scope", mount: str) -> str | None:
    """The template of the route that served the request, `/v1/users/{user_id}`; None where none matched.

    Routers leave it in the scope. FastAPI keeps that of an included router, prefix and all, under its own
    key; the route itself knows only its last part. A mounted app has moved its prefix to root_path.
    """
    route = scope.get("route")
    if route is None:
        return None
    prefix = scope.get("root_path", "").removeprefix(mount)
    if not hasattr(route, "endpoint"):
        return prefix or None  # a mount, whose app has no routes, or none that matched
    included = scope.get("fastapi", {}).get("effective_route_context")
    return prefix + (getattr(included, "path_format", None) or getattr(route, "path_format", ""))
