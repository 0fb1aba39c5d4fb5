"""One job: `/jobs/{job_id}` in, all that is known of it out: why it waits, how far it is, what it died of."""

import asyncio
from base64 import b64decode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from starlette.requests import Request

from monitor.drawing.fragments import Drawing
from monitor.drawing.render import Renderer
from monitor.live.kept import Kept
from monitor.live.page import View
from monitor.pages.advice import advice
from monitor.pages.cloud_event import attributes_of, curl_of, of_view
from monitor.pages.document import document
from monitor.pages.jobs import jobs_url, orders_of
from monitor.pages.known import known
from monitor.pages.timeline import timeline
from shared.api import GatewayApi, path_of
from shared.stacks import parse_stack

_EVENT_KEPT_S: Final = 3.0
"""Shorter than views rest: a progress bar need not wait for what hardly changes."""
_FINAL: Final = frozenset({"succeeded", "dead", "cancelled", "expired"})


class JobPage:
    """One job, from its acceptance to its end."""

    path = "/jobs/{job_id}"
    place = "/jobs"

    def __init__(self, renderer: Renderer, *, trace_ui_url: str) -> None:
        self._render = renderer
        self._trace_ui_url = trace_ui_url

    def view(self, request: Request) -> View:
        """The page of this job."""
        job_id: str = request.path_params["job_id"]
        event_at = path_of("events", job_id.rpartition(":")[2])
        event = Kept(lambda api: known(api, event_at), for_s=_EVENT_KEPT_S)

        async def draw(api: GatewayApi) -> Drawing:
            return await self._draw(api, job_id, event)

        return View(f"/jobs/{quote(job_id, safe=':')}", draw)

    async def _draw(self, api: GatewayApi, job_id: str, its_event: Kept[Any]) -> Drawing:
        job, event = await asyncio.gather(api.get(path_of("jobs", job_id), quiet=True), its_event.get(api))
        explained, letter = await asyncio.gather(
            _explained(api, job),
            known(api, path_of("dead", job_id)) if _is_lonely(job, event) else _nothing(),
        )
        origin = of_view(event) if event is not None else (letter or {}).get("event")
        return self._render.drawing(
            "job.html",
            title=f"{job['handler']} {job['state']}",
            job=job,
            may=orders_of(job["state"]),
            why=explained,
            error=_error(job["error"]),
            timeline=timeline(job, accepted_at=(event or {}).get("accepted_at"), now=datetime.now(UTC)),
            stack_of=parse_stack,
            result=document(job["result"]) if job["result"] is not None else None,
            origin=origin,
            data=_data(origin),
            raw=_raw(letter),
            attributes=attributes_of(origin) if origin else [],
            curl=curl_of(origin) if origin else None,
            others=[one for one in (event or {}).get("jobs", []) if one["id"] != job["id"]],
            is_in_ledger=event is not None,
            trace_link=_trace_link(self._trace_ui_url, job["trace_id"]),
            jobs_url=jobs_url,
        )


async def _nothing() -> None:
    return None


def _is_lonely(job: Mapping[str, Any], event: object) -> bool:
    """Whether the event is in the dead letter alone: it came over a bus, past the gateway."""
    return event is None and job["state"] == "dead"


async def _explained(api: GatewayApi, job: Mapping[str, Any]) -> list[Any]:
    """Why the job does not run, the first cause first; nothing where it runs, or has ended."""
    if job["state"] in _FINAL:
        return []
    found = await known(api, path_of("jobs", job["id"], "explain"))
    if found is None or found["state"] in _FINAL or found["cause"]["code"] == "running":
        return []
    return [advice(cause, job["handler"]) for cause in (found["cause"], *found["also"])]


def _error(error: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The last error with its stack in parts."""
    if error is None:
        return None
    return {
        "type": error["type"],
        "message": error["message"],
        "stack": parse_stack(error.get("stack") or ""),
    }


def _data(event: Mapping[str, Any] | None) -> Any:
    """The event's data as text; None without any."""
    if event is None:
        return None
    if event.get("data") is not None:
        return document(event["data"])
    return document(event["data_base64"]) if "data_base64" in event else None


def _raw(letter: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Bytes that were no event, as far as they are text."""
    if letter is None or letter.get("raw") is None:
        return None
    return {
        "channel": letter.get("channel"),
        "document": document(b64decode(letter["raw"]).decode(errors="backslashreplace")),
    }


def _trace_link(template: str, trace_id: str | None) -> str | None:
    """The trace where people look at traces, if that is elsewhere."""
    return template.replace("{trace_id}", trace_id) if template and trace_id else None
