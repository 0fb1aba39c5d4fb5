"""The list of jobs: `/jobs?state=&q=&cursor=` in, tabs with counts and a page of rows out."""

import asyncio
from typing import Any, Final
from urllib.parse import urlencode

from starlette.requests import Request

from monitor.drawing.fragments import Drawing
from monitor.drawing.render import Renderer
from monitor.live.page import BadQuestion, View
from monitor.pages.query import Query, parse
from shared.api import GatewayApi

TERMS: Final = ("handler", "service", "worker", "error", "event", "since", "until", "fingerprint")
STATES: Final = ("queued", "running", "retrying", "succeeded", "dead", "cancelled", "expired")

_ON_A_PAGE: Final = 50
_ORDERS: Final = {
    "retry": frozenset({"dead", "cancelled", "expired"}),
    "cancel": frozenset({"queued", "running", "retrying"}),
}


class JobsPage:
    """All jobs, newest first."""

    path = "/jobs"
    place = "/jobs"

    def __init__(self, renderer: Renderer) -> None:
        self._render = renderer

    def view(self, request: Request) -> View:
        """The list with this state and filter, from this place on."""
        asked = request.query_params
        state = asked.get("state", "")
        if state and state not in STATES:
            raise BadQuestion(f"there is no state {state}; there are {', '.join(STATES)}")
        query = parse(asked.get("q", ""), names=TERMS)
        cursor = asked.get("cursor", "")
        url = jobs_url(state, query, cursor)

        async def draw(api: GatewayApi) -> Drawing:
            return await self._draw(api, state, query, cursor)

        return View(url, draw)

    async def _draw(self, api: GatewayApi, state: str, query: Query, cursor: str) -> Drawing:
        wanted = query.parameters()
        page, counted = await asyncio.gather(
            api.get(
                "/v1/jobs",
                {**wanted, "state": state or None, "cursor": cursor or None, "limit": _ON_A_PAGE},
                quiet=True,
            ),
            api.get("/v1/jobs/counts", wanted, quiet=True),
        )
        jobs: list[dict[str, Any]] = page["items"]
        return self._render.drawing(
            "jobs.html",
            title=f"{state.capitalize()} jobs" if state else "Jobs",
            jobs=jobs,
            state=state,
            states=STATES,
            counts=counted["counts"],
            cap=counted["cap"],
            query=query,
            cursor=cursor,
            older=jobs_url(state, query, page["next"]) if page["next"] else None,
            url=jobs_url,
            orders={name: order_url(name, state, query) for name in orders_of(state)},
            may=_may,
        )


def jobs_url(state: str = "", query: Query | str = "", cursor: str = "") -> str:
    """The address of a list; its parameters stand in one order."""
    given = {"state": state, "q": str(query), "cursor": cursor}
    asked = urlencode({name: value for name, value in given.items() if value})
    return f"/jobs?{asked}" if asked else "/jobs"


def order_url(order: str, state: str, query: Query) -> str:
    """The order about all jobs that the list shows, and those on its further pages."""
    asked = urlencode(
        {name: value for name, value in {"all": "1", "state": state, "q": str(query)}.items() if value}
    )
    return f"/jobs/{order}?{asked}"


def orders_of(state: str) -> list[str]:
    """What can be ordered about jobs of the state; "" is any."""
    return [name for name, states in _ORDERS.items() if not state or state in states]


def _may(job: dict[str, Any]) -> list[str]:
    """What can be ordered about the job."""
    return orders_of(job["state"])
