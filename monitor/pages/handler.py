"""One handler: `/handlers/{name}` in, how it stands, its last hour, its workers and failures out."""

import asyncio
from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request

from monitor.drawing.charts import LENGTHS_MS, Chart, Series, Times, lines, stacks
from monitor.drawing.fragments import Drawing
from monitor.drawing.render import Renderer
from monitor.drawing.words import count, took_ms
from monitor.live.page import View
from monitor.pages import health
from monitor.pages.asking import if_known
from monitor.pages.figures import Track
from monitor.pages.handlers import handler_url, jobs_of, known, worse
from shared.api import GatewayApi, Refusal

_FAILURES: Final = 10


class HandlerPage:
    """One handler in full."""

    path = "/handlers/{name}"
    place = "/handlers"

    def __init__(self, renderer: Renderer) -> None:
        self._render = renderer

    def view(self, request: Request) -> View:
        """The handler of that name; the gateway knows whether there is one."""
        name: str = request.path_params["name"]

        async def draw(api: GatewayApi) -> Drawing:
            return await self._draw(api, name)

        return View(handler_url(name), draw)

    async def _draw(self, api: GatewayApi, name: str) -> Drawing:
        found, workers, failures = await asyncio.gather(
            known(api, handler=name),
            api.get("/v1/workers", quiet=True),
            if_known(_failures(api, name), _newest),
        )
        handler = next((one for one in found.handlers if one.name == name), None)
        if handler is None:
            raise Refusal(HTTPStatus.NOT_FOUND, {"detail": f"no handler is named {name}"})
        figures = found.figures.value
        stuck = health.stuck([handler])
        return self._render.drawing(
            "handler.html",
            title=name,
            handler=handler,
            faults=[*found.faults, *([failures.fault] if failures.fault else [])],
            stuck=stuck[0] if stuck else None,
            charts=charts_of(handler.track, figures.times) if figures and handler.track else None,
            workers=[one for one in workers["items"] if name in one["handlers"]],
            worse=worse(handler.track),
            is_failing=health.is_failing(handler.track),
            failures=failures.value or [],
            url=handler_url(name),
            jobs_of=jobs_of,
        )


def charts_of(track: Track, times: Times) -> dict[str, Chart]:
    """Throughput, and how long jobs waited and ran."""
    return {
        "Attempts ended a minute": stacks(
            "Attempts ended a minute",
            [Series("succeeded", "g0", track.succeeded), Series("failed", "g-error", track.failed)],
            times,
            words=_whole,
        ),
        "Time that jobs waited": _latency(
            "Time that jobs waited", track.wait_p50_ms, track.wait_p95_ms, times
        ),
        "Time that attempts took": _latency(
            "Time that attempts took", track.run_p50_ms, track.run_p95_ms, times
        ),
    }


def _latency(title: str, p50: Any, p95: Any, times: Times) -> Chart:
    return lines(
        title, [Series("p95", "g2", p95), Series("p50", "g0", p50)], times, words=length_of, tops=LENGTHS_MS
    )


async def _failures(api: GatewayApi, name: str) -> list[dict[str, Any]]:
    """The newest that are dead, or will be tried again."""
    asked = [
        api.get("/v1/jobs", {"handler": name, "state": state, "limit": _FAILURES}, quiet=True)
        for state in ("dead", "retrying")
    ]
    return [job for page in await asyncio.gather(*asked) for job in page["items"]]


def _newest(jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    failed = [job for job in jobs if job["error"]]
    return sorted(failed, key=_failed_at, reverse=True)[:_FAILURES]


def _failed_at(job: dict[str, Any]) -> str:
    return job["finished_at"] or job["started_at"] or job["queued_at"] or ""


def _whole(number: float) -> str:
    return count(round(number)) if number == round(number) else f"{number:g}"


def length_of(length_ms: float) -> str:
    """A length of time in as few characters as tell it: `2.5 s`, `30 s`, `1 min`."""
    number, _, unit = took_ms(length_ms).removesuffix(" 0 s").removesuffix(" 0 min").partition(" ")
    return f"{float(number):g} {unit}" if "." in number else f"{number} {unit}"
