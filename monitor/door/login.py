"""The form that turns an API key into a session, and the one that ends it."""

import time
from collections import OrderedDict
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from monitor.door.forms import fields_of, local
from monitor.door.guard import session_of, set_cookie
from monitor.door.key_ring import KeyRing, KeysUnknown
from monitor.door.sessions import COOKIE, Sessions
from monitor.drawing.render import Renderer

_TRIES: Final = 10
_TRIES_S: Final = 60.0
_ADDRESSES_MAX: Final = 10_000


class Login:
    """The only form without a session before it."""

    def __init__(self, ring: KeyRing, sessions: Sessions, renderer: Renderer) -> None:
        self._ring = ring
        self._sessions = sessions
        self._render = renderer
        self._tries = Tries()

    def routes(self) -> list[Route]:
        """The forms and what they send."""
        return [
            Route("/login", self.form, methods=["GET"]),
            Route("/login", self.log_in, methods=["POST"]),
            Route("/logout", self.log_out, methods=["POST"]),
        ]

    async def form(self, request: Request) -> Response:
        """The form."""
        return self._render("login.html", next=local(request.query_params.get("next", "/")))

    async def log_in(self, request: Request) -> Response:
        """Set the cookie and go on to where the reader wanted to go."""
        fields = await fields_of(request)
        goal, key = local(fields.one("next", "/")), fields.one("key")
        address = request.client.host if request.client else ""
        if self._tries.are_used_up(address):
            fault = "Too many keys were tried from your address. Wait a minute."
            return self._again(429, goal, fault)
        try:
            holder = await self._ring.holder(key or None)
        except KeysUnknown as unknown:
            return self._again(503, goal, f"The key cannot be checked: {unknown}.")
        if holder is None:
            self._tries.count(address)
            return self._again(401, goal, "This API key is not known.")
        if not holder.may_read:
            return self._again(403, goal, "This API key lacks the scope read.")
        session = self._sessions.begin(key or None, name=holder.name, scopes=holder.scopes)
        response = RedirectResponse(goal, status_code=303)
        set_cookie(response, self._sessions.seal(session), is_https=request.url.scheme == "https")
        return response

    async def log_out(self, request: Request) -> Response:
        """Take the cookie away."""
        fields = await fields_of(request)
        if not self._sessions.is_token(session_of(request), fields.one("csrf")):
            return PlainTextResponse("this form is of another session: reload the page\n", status_code=403)
        response = RedirectResponse("/login", status_code=303)
        response.delete_cookie(COOKIE)
        return response

    def _again(self, status: int, goal: str, fault: str) -> Response:
        return self._render("login.html", status=status, next=goal, fault=fault)


class Tries:
    """Wrong keys by address: so many in a minute, then the address waits."""

    def __init__(self) -> None:
        self._wrong: OrderedDict[str, list[float]] = OrderedDict()

    def are_used_up(self, address: str) -> bool:
        """Whether the address has to wait."""
        since = time.monotonic() - _TRIES_S
        recent = [at for at in self._wrong.get(address, []) if at > since]
        if recent:
            self._wrong[address] = recent
        else:
            self._wrong.pop(address, None)
        return len(recent) >= _TRIES

    def count(self, address: str) -> None:
        """One more wrong key."""
        self._wrong.setdefault(address, []).append(time.monotonic())
        self._wrong.move_to_end(address)
        if len(self._wrong) > _ADDRESSES_MAX:
            self._wrong.popitem(last=False)
