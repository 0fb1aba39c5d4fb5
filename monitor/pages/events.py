"""The list of accepted events: `/events?q=&cursor=` in, a page of rows out."""

from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from starlette.requests import Request

from monitor.drawing.fragments import Drawing
from monitor.drawing.render import Renderer
from monitor.live.page import BadQuestion, View
from monitor.pages.known import known
from monitor.pages.query import Query, Term, parse
from shared.api import GatewayApi, path_of

TERMS: Final = ("type", "since", "until")

_ON_A_PAGE: Final = 50


class EventsPage:
    """All accepted events, newest first."""

    path = "/events"
    place = "/events"

    def __init__(self, renderer: Renderer) -> None:
        self._render = renderer

    def view(self, request: Request) -> View:
        """The list with this filter, from this place on."""
        query = _read(request.query_params.get("q", ""))
        cursor = request.query_params.get("cursor", "")

        async def draw(api: GatewayApi) -> Drawing:
            return await self._draw(api, query, cursor)

        return View(events_url(query, cursor), draw)

    async def _draw(self, api: GatewayApi, query: Query, cursor: str) -> Drawing:
        page = await _page(api, query, cursor)
        events: list[dict[str, Any]] = page["items"]
        return self._render.drawing(
            "events.html",
            title="Events",
            events=events,
            query=query,
            cursor=cursor,
            older=events_url(query, page["next"]) if page["next"] else None,
            url=events_url,
        )


def events_url(query: Query | str = "", cursor: str = "") -> str:
    """The address of a list; its parameters stand in one order."""
    asked = urlencode({name: value for name, value in {"q": str(query), "cursor": cursor}.items() if value})
    return f"/events?{asked}" if asked else "/events"


def _read(text: str) -> Query:
    """The filter. Text is a whole id, or else a type: `order.created`."""
    query = parse(text, names=TERMS)
    free = next((term.value for term in query.terms if not term.name), None)
    if free is None or _is_id(free):
        return query
    if " " in free or any(term.name == "type" for term in query.terms):
        raise BadQuestion(
            f"events are found by their id, or by type:, since: and until:; nothing is known about {free!r}"
        )
    return query.without(Term("", free)).having("type", free)


async def _page(api: GatewayApi, query: Query, cursor: str) -> Any:
    for term in query.terms:
        if not term.name:
            event = await known(api, path_of("events", term.value))
            return {"items": [event] if event else [], "next": None}
    return await api.get(
        "/v1/events", {**query.parameters(), "cursor": cursor or None, "limit": _ON_A_PAGE}, quiet=True
    )


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
