"""One event: `/events/{event_id}` in, its tree out: the request, events, jobs, and what they caused."""

import asyncio
from typing import Any, Final
from urllib.parse import quote

from starlette.requests import Request

from monitor.drawing.fragments import Drawing
from monitor.drawing.render import Renderer
from monitor.live.kept import Kept
from monitor.live.page import View
from monitor.pages.cloud_event import attributes_of, curl_of, of_view
from monitor.pages.document import document
from monitor.pages.known import known
from monitor.pages.tree import SIDE_BY_SIDE, tree_of
from monitor.traces.request import Requests
from monitor.traces.source import TraceSource
from shared.api import GatewayApi, Refusal, path_of

_EVENT_KEPT_S: Final = 3.0


class EventPage:
    """One event and all that came of the request that led to it."""

    path = "/events/{event_id}"
    place = "/events"

    def __init__(self, renderer: Renderer, traces: TraceSource, *, trace_ui_url: str) -> None:
        self._render = renderer
        self._requests = Requests(traces)
        self._trace_ui_url = trace_ui_url

    def view(self, request: Request) -> View:
        """The page of this event."""
        event_id: str = request.path_params["event_id"]
        event_at = path_of("events", event_id)
        event = Kept(lambda api: known(api, event_at), for_s=_EVENT_KEPT_S)

        async def draw(api: GatewayApi) -> Drawing:
            return await self._draw(api, event_id, event)

        return View(f"/events/{quote(event_id, safe=':')}", draw)

    async def _draw(self, api: GatewayApi, event_id: str, its_event: Kept[Any]) -> Drawing:
        event, listed = await asyncio.gather(
            its_event.get(api), api.get(path_of("events", event_id, "tree"), quiet=True)
        )
        if event is None:
            raise Refusal(404, {"title": "Not here", "detail": "no event has this id"})
        origin = of_view(event)
        tree = tree_of(listed, event["id"])
        trace_id: str | None = event["trace_id"]
        return self._render.drawing(
            "event.html",
            title=f"{event['type']} {tree.standing}",
            event=event,
            tree=tree,
            began_at=tree.root.event["accepted_at"],
            begun_by=await self._requests.of(tree.root.event["trace_id"]),
            data=document(origin["data"] if "data" in origin else origin.get("data_base64", "")),
            is_base64="data_base64" in origin,
            attributes=attributes_of(origin),
            curl=curl_of(origin),
            trace_link=self._trace_ui_url.replace("{trace_id}", trace_id) if trace_id else "",
            side_by_side=SIDE_BY_SIDE,
        )
