"""All schedules: `/schedules?cursor=` in; a row each with its latest ticks, and what was not as planned."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote, urlencode

from starlette.requests import Request

from monitor.drawing import ticks as words
from monitor.drawing.fragments import Drawing
from monitor.drawing.render import Renderer
from monitor.live.page import View
from monitor.pages.latest_ticks import LatestTicks
from shared.api import GatewayApi
from shared.clock import rfc3339

_ON_A_PAGE: Final = 50
_NOTABLE: Final = 10
_NOTABLE_FOR: Final = timedelta(hours=24)


class SchedulesPage:
    """Schedules by name."""

    path = "/schedules"
    place = "/schedules"

    def __init__(self, renderer: Renderer) -> None:
        self._render = renderer
        self._latest = LatestTicks()

    def view(self, request: Request) -> View:
        """The schedules from this place on."""
        cursor = request.query_params.get("cursor", "")

        async def draw(api: GatewayApi) -> Drawing:
            return await self._draw(api, cursor)

        return View(schedules_url(cursor), draw)

    async def _draw(self, api: GatewayApi, cursor: str) -> Drawing:
        asked = {"limit": _ON_A_PAGE, "cursor": cursor or None}
        page = await api.get("/v1/schedules", asked, quiet=True)
        schedules: list[dict[str, Any]] = page["items"]
        ticks, ended = await asyncio.gather(
            self._latest.of(api, schedules), self._latest.ended(api, schedules)
        )
        now = datetime.now(UTC)
        return self._render.drawing(
            "schedules.html",
            title="Schedules",
            schedules=schedules,
            ticks=ticks,
            ended=ended,
            notable=notable(ticks, since=now - _NOTABLE_FOR),
            overdue={one["name"] for one in schedules if words.is_overdue(one, now)},
            words=words,
            url=schedule_url,
            cursor=cursor,
            more=schedules_url(page["next"]) if page["next"] else None,
        )


def notable(
    ticks: Mapping[str, Sequence[dict[str, Any]]], *, since: datetime
) -> Sequence[tuple[str, dict[str, Any]]]:
    """The latest ticks that did not go by plan, with the names of their schedules, the newest first."""
    begin = rfc3339(since)
    found = [
        (name, tick)
        for name, those in ticks.items()
        for tick in those
        if tick["tick"] >= begin and words.is_notable(tick)
    ]
    return sorted(found, key=lambda one: one[1]["tick"], reverse=True)[:_NOTABLE]


def schedules_url(cursor: str = "") -> str:
    """The address of the list."""
    return f"/schedules?{urlencode({'cursor': cursor})}" if cursor else "/schedules"


def schedule_url(name: str, order: str = "", cursor: str = "") -> str:
    """The address of a schedule, or of an order about it."""
    path = "/".join(["/schedules", quote(name, safe=""), *([order] if order else [])])
    return f"{path}?{urlencode({'cursor': cursor})}" if cursor else path
