"""What jobs died of: `/dead?q=` in, a row a group of the same failure and the replays at work out."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from starlette.requests import Request

from monitor.drawing.fragments import Drawing
from monitor.drawing.render import Renderer
from monitor.drawing.when import places
from monitor.live.page import View
from monitor.pages.jobs import jobs_url
from monitor.pages.query import Query, Term, parse
from shared.api import GatewayApi

TERMS: Final = ("handler", "service", "since", "until")

_GROUPS: Final = 200
_REPLAYS: Final = 20
_PAST_REPLAYS: Final = 5


class DeadPage:
    """Dead jobs, a row a failure: those of most jobs first."""

    path = "/dead"
    place = "/dead"

    def __init__(self, renderer: Renderer) -> None:
        self._render = renderer

    def view(self, request: Request) -> View:
        """The groups of the dead jobs that pass the filter."""
        query = parse(request.query_params.get("q", ""), names=TERMS)

        async def draw(api: GatewayApi) -> Drawing:
            return await self._draw(api, query)

        return View(dead_url(query), draw)

    async def _draw(self, api: GatewayApi, query: Query) -> Drawing:
        page, replays = await asyncio.gather(
            api.get("/v1/dead/groups", {**query.parameters(), "limit": _GROUPS}, quiet=True),
            latest_replays(api),
        )
        groups: list[dict[str, Any]] = sorted(page["items"], key=lambda group: -group["count"])
        spans = [(group["first_at"], group["last_at"]) for group in groups]
        return self._render.drawing(
            "dead.html",
            title="Dead letters",
            query=query,
            groups=list(zip(groups, places(spans), strict=True)),
            jobs=sum(group["count"] for group in groups),
            is_cut=len(groups) >= _GROUPS,
            running=[replay for replay in replays if replay["status"] == "running"],
            past=[replay for replay in replays if replay["status"] != "running"][:_PAST_REPLAYS],
            url=dead_url,
            group_url=group_url,
            replay_url=replay_url,
            jobs_of=jobs_of,
            terms_of=terms_of,
        )


async def latest_replays(api: GatewayApi) -> Sequence[dict[str, Any]]:
    """The replays that were asked for last, newest first."""
    return (await api.get("/v1/dead/replays", {"limit": _REPLAYS}, quiet=True))["items"]


def dead_url(query: Query | str = "") -> str:
    """The address of the list."""
    return _url("/dead", query)


def group_url(fingerprint: str, query: Query | str = "", cursor: str = "") -> str:
    """The address of a group's letters: those that pass the filter, from this place on."""
    return _url(f"/dead/{fingerprint}", query, cursor)


def replay_url(query: Query | str = "", fingerprint: str = "") -> str:
    """The order to run a group again; without a fingerprint, all that the filter finds."""
    return _url(f"/dead/{fingerprint}/replay" if fingerprint else "/dead/replay", query)


def jobs_of(fingerprint: str) -> str:
    """The list of the group's jobs."""
    return jobs_url("dead", Query([Term("fingerprint", fingerprint)]))


def terms_of(wanted: Mapping[str, Any]) -> Query:
    """The filter of a replay, as it is typed."""
    shown = {"event_id": "event", "text": ""}
    return Query(
        [
            Term(shown.get(name, name), _written(value))
            for name, value in wanted.items()
            if name not in ("all", "fingerprint")
        ]
    )


def _written(value: Any) -> str:
    return f"{len(value)} chosen" if isinstance(value, list) else str(value)


def _url(path: str, query: Query | str, cursor: str = "") -> str:
    asked = urlencode({name: value for name, value in {"q": str(query), "cursor": cursor}.items() if value})
    return f"{path}?{asked}" if asked else path
