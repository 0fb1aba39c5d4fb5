"""Requests in; on with who asks, or a refusal out: a path is closed unless it is named open."""

from typing import Final
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from monitor.door.forms import from_elsewhere
from monitor.door.key_ring import KeyRing, KeysUnknown
from monitor.door.sessions import COOKIE, LASTS_S, Session, Sessions
from monitor.traces.jaeger import failure

_OPEN_PATHS: Final = frozenset({"/login", "/livez", "/readyz", "/metrics"})
_OPEN_FOLDER: Final = "/static/"
_READING: Final = frozenset({"GET", "HEAD"})
_SESSION: Final = "trunkline.session"
_HANDED_OUT: Final = "trunkline.session_handed_out"


class Guard:
    """Wraps the application. A new page is closed, too; a form counts only from a page of ours."""

    def __init__(self, app: ASGIApp, *, ring: KeyRing, sessions: Sessions) -> None:
        self._app = app
        self._ring = ring
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it with 401, 403 or the way to the login form."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        asked = HTTPConnection(scope)
        if scope["method"] not in _READING and from_elsewhere(asked.headers):
            refusal = PlainTextResponse("this form came from another site\n", status_code=403)
            return await refusal(scope, receive, send)
        if scope["path"] in _OPEN_PATHS or scope["path"].startswith(_OPEN_FOLDER):
            return await self._app(scope, receive, send)
        try:
            answer = await self._refusal(asked)
        except KeysUnknown as unknown:
            answer = PlainTextResponse(
                f"who you are cannot be told now: {unknown}\n", 503, headers={"Retry-After": "2"}
            )
        return await (answer or self._app)(scope, receive, self._handing_out(scope, send))

    async def _refusal(self, asked: HTTPConnection) -> Response | None:
        key = _bearer(asked.headers)
        if key is not None:
            return await self._refusal_of_key(asked, key)
        session = self._sessions.opened(asked.cookies.get(COOKIE))
        holder = await self._ring.holder(session.key) if session is not None else None
        if session is not None and holder is not None and holder.may_read:
            asked.scope[_SESSION] = session
            return None
        everybody = await self._ring.holder(None) if session is None or session.key is None else None
        if everybody is None:
            return _to_login(asked)
        if session is None:
            self._begin(asked, everybody.name, everybody.scopes)
        else:
            asked.scope[_SESSION] = session
        return None

    async def _refusal_of_key(self, asked: HTTPConnection, key: str) -> Response | None:
        holder = await self._ring.holder(key)
        if holder is None:
            return _unauthorized("this API key is not known")
        if not holder.may_read:
            return failure(403, "this API key lacks the scope read")
        asked.scope[_SESSION] = self._sessions.begin(key, name=holder.name, scopes=holder.scopes)
        return None

    def _begin(self, asked: HTTPConnection, name: str, scopes: frozenset[str]) -> None:
        """Where everybody may look, a page hands out a session, for the tokens of forms."""
        session = asked.scope[_SESSION] = self._sessions.begin(None, name=name, scopes=scopes)
        if asked.scope["method"] == "GET" and "text/html" in asked.headers.get("accept", ""):
            asked.scope[_HANDED_OUT] = session

    def _handing_out(self, scope: Scope, send: Send) -> Send:
        """`send`, with the cookie of a session that has just begun."""
        session = scope.get(_HANDED_OUT)
        if session is None:
            return send
        with_cookie = Response()
        set_cookie(with_cookie, self._sessions.seal(session), is_https=scope["scheme"] == "https")
        cookies = [header for header in with_cookie.raw_headers if header[0] == b"set-cookie"]

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *cookies]}
            await send(message)

        return send_with_cookie


def session_of(request: Request | HTTPConnection) -> Session:
    """Who asks; every path behind the Guard has one."""
    return request.scope[_SESSION]


def set_cookie(response: Response, value: str, *, is_https: bool) -> None:
    """Hand a session to the browser, and to no script or other site."""
    response.set_cookie(COOKIE, value, max_age=LASTS_S, httponly=True, samesite="strict", secure=is_https)


def _to_login(asked: HTTPConnection) -> Response:
    if asked.url.path.startswith("/api/"):
        return _unauthorized("send an API key as Authorization: Bearer <key>")
    if asked.scope["method"] not in _READING or "application/json" in asked.headers.get("accept", ""):
        return JSONResponse({"ok": False, "said": "your session has ended: log in again"}, 401)
    if "text/event-stream" in asked.headers.get("accept", ""):
        return PlainTextResponse("your session has ended\n", 401)
    return RedirectResponse(f"/login?next={quote(_path(asked), safe='')}", status_code=303)


def _path(asked: HTTPConnection) -> str:
    return asked.url.path + (f"?{asked.url.query}" if asked.url.query else "")


def _bearer(headers: Headers) -> str | None:
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else None


def _unauthorized(message: str) -> Response:
    response = failure(401, message)
    response.headers["WWW-Authenticate"] = "Bearer"
    return response
