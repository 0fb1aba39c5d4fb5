"""One failure: `/dead/{fingerprint}?q=&cursor=` in, its newest error and a page of its letters out."""

import asyncio
import re
from typing import Any, Final

import msgspec
from starlette.requests import Request

from monitor.drawing.fragments import Drawing
from monitor.drawing.render import Renderer
from monitor.live.page import BadQuestion, View
from monitor.pages.dead import TERMS, group_url, jobs_of, latest_replays, replay_url, terms_of
from monitor.pages.query import Query, parse
from shared.api import GatewayApi

_FINGERPRINT: Final = re.compile(r"[0-9a-f]{16}")
_ON_A_PAGE: Final = 50
_GROUPS: Final = 200


class DeadGroupPage:
    """The dead letters of one failure, the last to die first."""

    path = "/dead/{fingerprint}"
    place = "/dead"

    def __init__(self, renderer: Renderer) -> None:
        self._render = renderer

    def view(self, request: Request) -> View:
        """The group's letters that pass the filter, from this place on."""
        fingerprint = fingerprint_of(request)
        query = parse(request.query_params.get("q", ""), names=TERMS)
        cursor = request.query_params.get("cursor", "")

        async def draw(api: GatewayApi) -> Drawing:
            return await self._draw(api, fingerprint, query, cursor)

        return View(group_url(fingerprint, query, cursor), draw)

    async def _draw(self, api: GatewayApi, fingerprint: str, query: Query, cursor: str) -> Drawing:
        wanted = query.parameters()
        asked = {**wanted, "fingerprint": fingerprint, "cursor": cursor or None, "limit": _ON_A_PAGE}
        page, replays = await asyncio.gather(api.get("/v1/dead", asked, quiet=True), latest_replays(api))
        letters: list[dict[str, Any]] = page["items"]
        newest = letters[0] if letters and not cursor else None
        group = await _group(api, fingerprint, letters[0], wanted) if letters else None
        return self._render.drawing(
            "dead_group.html",
            title=_title(letters[0]) if letters else "No dead letters",
            fingerprint=fingerprint,
            query=query,
            letters=letters,
            newest=newest,
            event=_event(newest) if newest else "",
            group=group,
            cursor=cursor,
            older=group_url(fingerprint, query, page["next"]) if page["next"] else None,
            running=[replay for replay in replays if replay["status"] == "running"],
            group_url=group_url,
            replay_url=replay_url,
            jobs_of=jobs_of,
            terms_of=terms_of,
        )


def fingerprint_of(request: Request) -> str:
    """The fingerprint in the address; BadQuestion where it can be none."""
    fingerprint: str = request.path_params["fingerprint"]
    if not _FINGERPRINT.fullmatch(fingerprint):
        raise BadQuestion(
            f"{fingerprint[:100]} is no fingerprint of dead letters: those are 16 hexadecimal digits"
        )
    return fingerprint


async def _group(
    api: GatewayApi, fingerprint: str, letter: dict[str, Any], wanted: Any
) -> dict[str, Any] | None:
    """The group as the list of groups has it; None where its last job was just run again."""
    asked = {**wanted, "handler": letter["handler"], "limit": _GROUPS}
    found = (await api.get("/v1/dead/groups", asked, quiet=True))["items"]
    return next((group for group in found if group["fingerprint"] == fingerprint), None)


def _event(letter: dict[str, Any]) -> str:
    """The event as people read JSON; "" where what came was none."""
    return msgspec.json.format(msgspec.json.encode(letter["event"])).decode() if letter["event"] else ""


def _title(letter: dict[str, Any]) -> str:
    """What died of what."""
    return f"{letter['error']['type'] if letter['error'] else letter['reason']} in {letter['handler']}"
