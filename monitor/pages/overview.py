"""The overview: `/` in, what is wrong in one line and in tiles, what is stuck, the last hour out."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from starlette.requests import Request

from monitor.drawing.fragments import Drawing
from monitor.drawing.render import Renderer
from monitor.live.page import View
from monitor.pages import health
from monitor.pages.asking import all_of, if_known
from monitor.pages.figures import Track
from monitor.pages.handler import charts_of
from monitor.pages.handler_now import HandlerNow
from monitor.pages.handlers import handler_url, jobs_of, known, spark
from monitor.pages.health import Finding
from shared.api import GatewayApi

_TOP: Final = 8


@dataclass(frozen=True, slots=True)
class Failing:
    """A handler of which attempts failed in the last hour."""

    handler: HandlerNow
    track: Track


class OverviewPage:
    """How all is, in two seconds."""

    path = "/"
    place = "/"

    def __init__(self, renderer: Renderer) -> None:
        self._render = renderer

    def view(self, request: Request) -> View:
        """There is one view."""
        del request
        return View("/", self._draw)

    async def _draw(self, api: GatewayApi) -> Drawing:
        found, workers, schedules = await asyncio.gather(
            known(api),
            api.get("/v1/workers", quiet=True),
            if_known(all_of(api, "/v1/schedules"), lambda answer: answer[0]),
        )
        handlers, figures = found.handlers, found.figures.value
        stuck = health.stuck(handlers)
        tiles: list[Finding] = [
            health.oldest_waiting(handlers),
            health.stalled(stuck, handlers),
            health.failing(handlers, is_known=figures is not None),
            health.dead(figures.all.total if figures else None),
            health.late_schedules(schedules.value, now=datetime.now(UTC)),
            health.workers(handlers, workers["items"]),
            health.waiting(handlers),
            health.running(handlers),
        ]
        verdict = health.verdict(tiles)
        return self._render.drawing(
            "overview.html",
            title=verdict.title,
            verdict=verdict,
            tiles=tiles,
            faults=[*found.faults, *([schedules.fault] if schedules.fault else [])],
            stuck=stuck,
            charts=charts_of(figures.all, figures.times) if figures else None,
            failing=top_failing(handlers),
            is_failing=health.is_failing,
            is_empty=_is_empty(handlers, figures.all if figures else None),
            spark=spark,
            handler_url=handler_url,
            jobs_of=jobs_of,
        )


def top_failing(handlers: Sequence[HandlerNow]) -> list[Failing]:
    """Those with most failures in the last hour."""
    found = [Failing(one, one.track) for one in handlers if one.track and one.track.failed_in_all]
    return sorted(found, key=lambda one: -one.track.failed_in_all)[:_TOP]


def _is_empty(handlers: Sequence[HandlerNow], track: Track | None) -> bool:
    """Whether nothing has happened yet that a newcomer could look at."""
    busy = any(one.queued or one.running or one.retrying or one.dead for one in handlers)
    return not busy and track is not None and not any(track.succeeded) and not track.failed_in_all
