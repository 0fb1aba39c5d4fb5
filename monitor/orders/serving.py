"""Orders over HTTP: GET asks, as a page or as a dialog; POST does it, with the reader's own key."""

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Final

import structlog
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from monitor.door.forms import Fields, fields_of, local
from monitor.door.guard import session_of
from monitor.door.sessions import Session, Sessions
from monitor.drawing.layout import Layout
from monitor.drawing.render import HEADERS, Renderer
from monitor.orders.order import Done, Form, Order, WrongField
from shared.api import GatewayApi, Refusal, Unreachable

log = structlog.get_logger(__name__)

_PART: Final = "x-part"


class Orders:
    """Serves orders. No order is carried out without the token of the reader's session.

    `ordered` is called after each, so that pages show at once what came of it.
    """

    def __init__(
        self,
        api: GatewayApi,
        layout: Layout,
        renderer: Renderer,
        sessions: Sessions,
        *,
        ordered: Callable[[], None],
    ) -> None:
        self._api = api
        self._layout = layout
        self._render = renderer
        self._sessions = sessions
        self._ordered = ordered

    def routes(self, orders: Sequence[Order]) -> list[Route]:
        """Two for each order."""
        return [
            route
            for order in orders
            for route in (
                Route(order.path, self._asking(order), methods=["GET"]),
                Route(order.path, self._doing(order), methods=["POST"]),
            )
        ]

    def _asking(self, order: Order):  # noqa: ANN202 -- an endpoint
        async def ask(request: Request) -> Response:
            session = session_of(request)
            try:
                form = await order.form(request, self._api.with_key(session.key))
            except (Refusal, Unreachable, WrongField) as fault:
                return self._not_asked(request, session, fault)
            return self._drawn(request, session, order, form)

        return ask

    def _drawn(self, request: Request, session: Session, order: Order, form: Form) -> Response:
        action = request.url.path
        if _PART in request.headers:
            token = self._sessions.token(session)
            part = self._render.part("order_form.html", form=form, action=action, csrf=token)
            return HTMLResponse(part, headers=HEADERS)
        return self._layout.document(
            session, "order.html", place=order.place, title=form.title, form=form, action=action
        )

    def _not_asked(self, request: Request, session: Session, fault: Exception) -> Response:
        status = (
            fault.status if isinstance(fault, Refusal) else 503 if isinstance(fault, Unreachable) else 400
        )
        if _PART in request.headers:
            return HTMLResponse(
                self._render.part("order_refused.html", fault=str(fault)), status, headers=HEADERS
            )
        return self._layout.notice(session, status, "This cannot be ordered", str(fault))

    def _doing(self, order: Order):  # noqa: ANN202 -- an endpoint
        async def do(request: Request) -> Response:
            session = session_of(request)
            fields = await fields_of(request)
            token = request.headers.get("x-csrf-token") or fields.one("csrf")
            if not self._sessions.is_token(session, token):
                return self._failed(request, session, 403, "this form is of another session: reload the page")
            try:
                done = await order.carry_out(request, fields, self._api.with_key(session.key))
            except Refusal as refusal:
                return self._failed(request, session, refusal.status, refusal.detail or str(refusal))
            except Unreachable as away:
                return self._failed(request, session, 503, str(away))
            except WrongField as wrong:
                return self._failed(request, session, 422, str(wrong))
            self._ordered()
            log.info("monitor.ordered", order=order.path, by=session.name, path=request.url.path)
            return self._done(request, fields, done)

        return do

    def _done(self, request: Request, fields: Fields, done: Done) -> Response:
        if _wants_json(request):
            return JSONResponse({"ok": True, "said": done.said, "go": done.go, "again": dict(done.again)})
        return RedirectResponse(done.go or local(fields.one("back", "/")), HTTPStatus.SEE_OTHER)

    def _failed(self, request: Request, session: Session, status: int, why: str) -> Response:
        if _wants_json(request):
            return JSONResponse({"ok": False, "said": why}, status)
        return self._layout.notice(session, status, "This was not done", why)


def _wants_json(request: Request) -> bool:
    return "application/json" in request.headers.get("accept", "")
