"""An API key in, a browser session out; and the guard that lets nobody else read.

With no API_KEYS everybody who reaches the port may read. Sessions live in this process: a restart ends them.
"""

import hashlib
import secrets
import time
from collections.abc import Callable
from urllib.parse import parse_qs, quote

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from monitor.door.keys import ApiKeys, may_read
from monitor.drawing.render import Renderer
from monitor.traces.jaeger import failure

COOKIE = "trunkline_monitor"
_SESSION_S = 12 * 3600
_SESSIONS_MAX = 1_000
_FORM_BYTES_MAX = 8_192
_OPEN_PATHS = frozenset({"/login", "/livez", "/readyz", "/metrics", "/static/monitor.css"})


class Sessions:
    """Who has logged in: digests of random tokens, each with the time at which it ends."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._now = monotonic
        self._ends_at: dict[bytes, float] = {}

    def begin(self) -> str:
        """A token for a new session; the oldest session ends when there are too many."""
        token = secrets.token_urlsafe(32)
        while len(self._ends_at) >= _SESSIONS_MAX:
            del self._ends_at[next(iter(self._ends_at))]
        self._ends_at[_digest(token)] = self._now() + _SESSION_S
        return token

    def holds(self, token: str | None) -> bool:
        """Whether the token is of a session that has not ended."""
        # A digest is looked up, so the time the look-up takes says nothing about a token.
        return token is not None and self._ends_at.get(_digest(token), 0.0) > self._now()


class Guard:
    """Wraps the application: a path is closed unless it is named open, so that a new page is closed too."""

    def __init__(self, app: ASGIApp, *, keys: ApiKeys, sessions: Sessions) -> None:
        self._app = app
        self._keys = keys
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it with 401, 403 or the way to the login form."""
        if scope["type"] != "http" or not self._keys or scope["path"] in _OPEN_PATHS:
            return await self._app(scope, receive, send)
        refusal = self._refusal(HTTPConnection(scope))
        return await (refusal or self._app)(scope, receive, send)

    def _refusal(self, connection: HTTPConnection) -> Response | None:
        key = _bearer(connection.headers)
        if key is not None:
            scopes = self._keys.scopes(key)
            if scopes is None:
                return _unauthorized("this API key is not known")
            return None if may_read(scopes) else failure(403, "this API key lacks the scope read")
        if self._sessions.holds(connection.cookies.get(COOKIE)):
            return None
        path = connection.url.path
        if path.startswith("/api/"):
            return _unauthorized("send an API key as Authorization: Bearer <key>")
        query = f"?{connection.url.query}" if connection.url.query else ""
        return RedirectResponse(f"/login?next={quote(path + query, safe='')}", status_code=303)


class Login:
    """The form that turns a key into a session. It is the only POST, and the cookie is SameSite=Strict."""

    def __init__(self, keys: ApiKeys, sessions: Sessions, renderer: Renderer) -> None:
        self._keys = keys
        self._sessions = sessions
        self._render = renderer

    def routes(self) -> list[Route]:
        """The form and what it sends."""
        return [
            Route("/login", self.form, methods=["GET"]),
            Route("/login", self.log_in, methods=["POST"]),
        ]

    async def form(self, request: Request) -> Response:
        """The form."""
        return self._render("login.html", next=_local(request.query_params.get("next", "/")))

    async def log_in(self, request: Request) -> Response:
        """Set the cookie and go on to where the reader wanted to go."""
        fields = await _fields(request)
        goal = _local(fields.get("next", "/"))
        scopes = self._keys.scopes(fields.get("key", "").strip())
        if self._keys and (scopes is None or not may_read(scopes)):
            fault = "This API key is not known." if scopes is None else "This API key lacks the scope read."
            return self._render("login.html", status=401 if scopes is None else 403, next=goal, fault=fault)
        response = RedirectResponse(goal, status_code=303)
        response.set_cookie(
            COOKIE,
            self._sessions.begin(),
            max_age=_SESSION_S,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return response


def _bearer(headers: Headers) -> str | None:
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else None


def _unauthorized(message: str) -> Response:
    response = failure(401, message)
    response.headers["WWW-Authenticate"] = "Bearer"
    return response


async def _fields(request: Request) -> dict[str, str]:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _FORM_BYTES_MAX:
            return {}
    return {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}


def _local(goal: str) -> str:
    """The path to go to after the login; two slashes of either kind would leave this site."""
    if not goal.startswith("/") or goal[1:2] in {"/", "\\"} or not goal.isprintable():
        return "/"
    return goal


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
