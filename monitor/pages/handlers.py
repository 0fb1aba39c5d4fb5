"""The list of handlers: `/handlers` in, a row a handler out, by service: what waits, runs and fails."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from starlette.requests import Request

from monitor.drawing.charts import Chart, Series, sparkline
from monitor.drawing.fragments import Drawing
from monitor.drawing.render import Renderer
from monitor.drawing.words import count
from monitor.live.page import View
from monitor.pages import health
from monitor.pages.asking import Told, if_known
from monitor.pages.figures import MINUTES, Figures, Track, figures_of
from monitor.pages.handler_now import HandlerNow, by_service, handlers_now
from monitor.pages.jobs import jobs_url
from monitor.pages.query import Query, Term
from shared.api import GatewayApi


@dataclass(frozen=True, slots=True)
class Known:
    """The handlers as they stand, and what could not be learnt about them."""

    handlers: list[HandlerNow]
    figures: Told[Figures]
    faults: list[str]


async def known(api: GatewayApi, *, handler: str | None = None) -> Known:
    """Everything about all handlers; the last hour of this one only, where one is named."""
    listed, scale, figures = await asyncio.gather(
        api.get("/v1/handlers", quiet=True),
        if_known(api.get("/v1/scale", quiet=True), _items),
        if_known(api.get("/v1/figures", {"minutes": MINUTES, "handler": handler}, quiet=True), figures_of),
    )
    handlers = handlers_now(listed["items"], scale.value or [], figures.value, now=datetime.now(UTC))
    faults = [f"What waits is not known: {scale.fault}"] if scale.fault else []
    faults += [f"The last hour is not known: {figures.fault}"] if figures.fault else []
    faults += sorted({one["reason"] for one in scale.value or [] if one["reason"]})
    return Known(handlers, figures, faults)


class HandlersPage:
    """All handlers."""

    path = "/handlers"
    place = "/handlers"

    def __init__(self, renderer: Renderer) -> None:
        self._render = renderer

    def view(self, request: Request) -> View:
        """There is one view."""
        del request
        return View("/handlers", self._draw)

    async def _draw(self, api: GatewayApi) -> Drawing:
        found = await known(api)
        stuck = {one.handler.name: one for one in health.stuck(found.handlers)}
        return self._render.drawing(
            "handlers.html",
            title="Handlers",
            services=by_service(found.handlers),
            faults=found.faults,
            stuck=stuck,
            spark=spark,
            is_failing=health.is_failing,
            worse=worse,
            handler_url=handler_url,
            jobs_of=jobs_of,
        )


def handler_url(name: str) -> str:
    """The page of a handler."""
    return f"/handlers/{quote(name, safe='')}"


def jobs_of(handler: str, state: str = "") -> str:
    """The list of its jobs."""
    return jobs_url(state, Query([Term("handler", handler)]))


def spark(track: Track) -> Chart:
    """The last hour of a handler, small."""
    series = [Series("succeeded", "g0", track.succeeded), Series("failed", "g-error", track.failed)]
    return sparkline("The last hour, a minute", series, words=_whole)


def worse(track: Track | None) -> list[str]:
    """What stands out among its versions, in words."""
    found = health.worse_versions(track.versions) if track else set[str]()
    return [
        f"{one.name}: {count(one.failed)} failures, {count(one.ended)} jobs ended"
        for one in (track.versions if track else ())
        if one.name in found
    ]


def _items(answer: Any) -> list[dict[str, Any]]:
    return answer["items"]


def _whole(number: float) -> str:
    return count(round(number))
