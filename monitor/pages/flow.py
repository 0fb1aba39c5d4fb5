"""The flow: `/flow` in, who publishes which events and who handles them out, with what waits in between."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request

from monitor.drawing.flow import Graph, graph
from monitor.drawing.fragments import Drawing
from monitor.drawing.render import Renderer
from monitor.live.page import View
from monitor.pages import health
from monitor.pages.asking import LONGEST_PAGE, all_of, if_known
from monitor.pages.handler_now import Answer, HandlerNow
from monitor.pages.handlers import handler_url, known
from monitor.pages.jobs import jobs_url
from monitor.pages.query import Query, Term
from shared.api import GatewayApi
from shared.api import Query as Asked

CLIENTS: Final = "clients"
"""Who publishes what nobody else is known to publish: whoever calls the gateway."""

_OWN: Final = "/trunkline/"
_OF_A_TYPE: Final = 20
_PAIRS_MOST: Final = 2_000
_WIDE: Final = (15, 24, 28)


@dataclass(frozen=True, slots=True)
class Flow:
    """Event types, each with who publishes it and which handlers work on it."""

    publishers: Mapping[str, Sequence[str]]
    handlers: Mapping[str, Sequence[HandlerNow]]


class Seen:
    """Who was seen to publish what, since this monitor began to look: `pairs` of a publisher and a type."""

    def __init__(self) -> None:
        self.pairs: set[tuple[str, str]] = set()
        self._sought: set[str] = set()

    async def look(self, api: GatewayApi, types: Iterable[str]) -> None:
        """At the newest events; and once at those of each type, for the newest may all be of few."""
        unsought = sorted(set(types) - self._sought)
        asked: list[Asked] = [{"limit": LONGEST_PAGE}]
        asked += [{"type": type_, "limit": _OF_A_TYPE} for type_ in unsought]
        found = await asyncio.gather(
            *(if_known(api.get("/v1/events", one, quiet=True), lambda page: page["items"]) for one in asked)
        )
        if all(one.value is not None for one in found):
            self._sought.update(unsought)
        pairs = {(publisher_of(one["source"]), one["type"]) for told in found for one in told.value or ()}
        if len(self.pairs) < _PAIRS_MOST:
            self.pairs |= pairs


class FlowPage:
    """Services and events."""

    path = "/flow"
    place = "/flow"

    def __init__(self, renderer: Renderer) -> None:
        self._render = renderer
        self._seen = Seen()

    def view(self, request: Request) -> View:
        """There is one view."""
        del request
        return View("/flow", self._draw)

    async def _draw(self, api: GatewayApi) -> Drawing:
        found, schedules = await asyncio.gather(
            known(api), if_known(all_of(api, "/v1/schedules"), lambda answer: answer[0])
        )
        await self._seen.look(api, [one.event_type for one in found.handlers])
        flow = flow_of(found.handlers, schedules.value or [], self._seen.pairs)
        return self._render.drawing(
            "flow.html",
            title="Flow",
            flow=flow,
            graph=graph_of(flow),
            handlers={f"handler {one.name}": one for one in found.handlers},
            level_of=health.level_of,
            faults=found.faults,
            clients=CLIENTS,
            handler_url=handler_url,
            events_url=events_url,
            jobs_of_service=jobs_of_service,
        )


def flow_of(
    handlers: Sequence[HandlerNow], schedules: Sequence[Answer], seen: Iterable[tuple[str, str]]
) -> Flow:
    """Who publishes what: handlers by their code, the scheduler by its book, others as they were seen to."""
    by: dict[str, set[str]] = {one.event_type: set() for one in handlers}
    for one in handlers:
        for type_ in one.causes:
            by.setdefault(type_, set()).add(one.service)
    for one in schedules:
        by.setdefault(one["type"], set()).add("scheduler")
    for publisher, type_ in seen:
        by.setdefault(type_, set()).add(publisher)
    return Flow(
        {type_: sorted(by[type_]) or [CLIENTS] for type_ in sorted(by)},
        {type_: [one for one in handlers if one.event_type == type_] for type_ in sorted(by)},
    )


def graph_of(flow: Flow) -> Graph:
    """Three columns: publishers, events, handlers. A service may stand on two sides: keys tell which."""
    publishers = sorted({one for names in flow.publishers.values() for one in names})
    handlers = [one.name for found in flow.handlers.values() for one in found]
    edges = [
        (f"publisher {one}", f"event {type_}") for type_, names in flow.publishers.items() for one in names
    ]
    edges += [
        (f"event {type_}", f"handler {one.name}") for type_, found in flow.handlers.items() for one in found
    ]
    columns = [
        [f"publisher {one}" for one in publishers],
        [f"event {type_}" for type_ in flow.publishers],
        [f"handler {one}" for one in sorted(handlers)],
    ]
    return graph(columns, edges, wide=_WIDE)


def events_url(type_: str) -> str:
    """The list of the events of a type."""
    return f"/events?{jobs_url('', Query([Term('type', type_)])).partition('?')[2]}"


def jobs_of_service(service: str) -> str:
    """The list of a service's jobs."""
    return jobs_url("", Query([Term("service", service)]))


def publisher_of(source: str) -> str:
    """A service of ours by its name; whoever else by the source that its events name."""
    return source.removeprefix(_OWN) if source.startswith(_OWN) else CLIENTS
