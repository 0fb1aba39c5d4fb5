"""One schedule: `/schedules/{name}?cursor=` in, its definition, ticks to come and ledger of ticks out."""

import asyncio
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from starlette.requests import Request

from monitor.drawing import ticks as words
from monitor.drawing.fragments import Drawing
from monitor.drawing.render import Renderer
from monitor.live.page import View
from monitor.pages.schedules import schedule_url
from shared.api import GatewayApi, path_of

_ON_A_PAGE: Final = 50


class SchedulePage:
    """A schedule with its ledger, the newest tick first."""

    path = "/schedules/{name}"
    place = "/schedules"

    def __init__(self, renderer: Renderer) -> None:
        self._render = renderer

    def view(self, request: Request) -> View:
        """The schedule; its ledger from this place on."""
        name: str = request.path_params["name"]
        cursor = request.query_params.get("cursor", "")

        async def draw(api: GatewayApi) -> Drawing:
            return await self._draw(api, name, cursor)

        return View(schedule_url(name, cursor=cursor), draw)

    async def _draw(self, api: GatewayApi, name: str, cursor: str) -> Drawing:
        asked = {"limit": _ON_A_PAGE, "cursor": cursor or None}
        schedule, preview, ledger = await asyncio.gather(
            api.get(path_of("schedules", name), quiet=True),
            api.get(path_of("schedules", name, "preview"), quiet=True),
            api.get(path_of("schedules", name, "ticks"), asked, quiet=True),
        )
        return self._render.drawing(
            "schedule.html",
            title=name,
            schedule=schedule,
            data=_shown(schedule["data"]),
            fires=preview["items"],
            ticks=ledger["items"],
            is_overdue=words.is_overdue(schedule, datetime.now(UTC)),
            words=words,
            url=schedule_url,
            cursor=cursor,
            older=schedule_url(name, cursor=ledger["next"]) if ledger["next"] else None,
        )


def _shown(data: dict[str, Any]) -> str:
    """JSON as people read it; "" for none."""
    return msgspec.json.format(msgspec.json.encode(data)).decode() if data else ""
