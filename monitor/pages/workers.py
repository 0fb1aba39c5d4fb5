"""Workers: `/workers` in, a row a process out: its slots, what it holds, its lease."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from starlette.requests import Request

from monitor.drawing.fragments import Drawing
from monitor.drawing.render import Renderer
from monitor.live.page import View
from monitor.pages import health
from monitor.pages.asking import all_of, if_known
from monitor.pages.handler_now import Answer, handlers_now
from monitor.pages.handlers import handler_url
from monitor.pages.jobs import jobs_url
from monitor.pages.query import Query, Term
from shared.api import GatewayApi
from shared.clock import from_rfc3339, rfc3339

SHOWN: Final = 5
"""How many of the jobs that a worker holds stand in its row, those that run longest first."""
LEASE_SHORT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Held:
    """A job that a worker holds; `limit_s` is its time limit, once it has run longer than that."""

    job: Answer
    limit_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerNow:
    """A worker with what it holds."""

    worker: Answer
    lease_until: str
    is_late: bool
    """Whether its lease is about to end: it should have been heard of before."""
    held: Sequence[Held]
    is_of_many: bool
    """Whether its service runs in more than one version."""

    @property
    def busy(self) -> float:
        """The part of its slots that is taken."""
        return min(self.worker["running"] / self.worker["slots"], 1) if self.worker["slots"] else 0


class WorkersPage:
    """All workers that are alive."""

    path = "/workers"
    place = "/workers"

    def __init__(self, renderer: Renderer) -> None:
        self._render = renderer

    def view(self, request: Request) -> View:
        """There is one view."""
        del request
        return View("/workers", self._draw)

    async def _draw(self, api: GatewayApi) -> Drawing:
        listed, workers, scale, running = await asyncio.gather(
            api.get("/v1/handlers", quiet=True),
            api.get("/v1/workers", quiet=True),
            if_known(api.get("/v1/scale", quiet=True), lambda answer: list(answer["items"])),
            if_known(all_of(api, "/v1/jobs", {"state": "running"}), lambda found: found),
        )
        now = datetime.now(UTC)
        handlers = handlers_now(listed["items"], scale.value or [], None, now=now)
        jobs, is_all = running.value or ([], True)
        alive = workers_now(workers["items"], jobs, {one.name: one.time_limit_s for one in handlers}, now=now)
        return self._render.drawing(
            "workers.html",
            title="Workers",
            lacking=health.without_workers(handlers),
            workers=alive,
            versions=versions_of(workers["items"]),
            shown=SHOWN,
            faults=_faults(running.fault, is_all=is_all),
            handler_url=handler_url,
            jobs_of=jobs_of_worker,
        )


def workers_now(
    workers: Sequence[Answer], jobs: Sequence[Answer], limits_s: Mapping[str, float], *, now: datetime
) -> list[WorkerNow]:
    """Each worker with the jobs that it holds, by service, version and start."""
    held: dict[str, list[Held]] = {}
    for job in sorted(jobs, key=_started_at):
        held.setdefault(job["worker"] or "", []).append(Held(job, _exceeded(job, limits_s, now)))
    many = {service for service, found in versions_of(workers).items() if len(found) > 1}
    return [
        WorkerNow(
            worker=one,
            lease_until=rfc3339((now + timedelta(seconds=one["lease_left_s"])).replace(microsecond=0)),
            is_late=one["lease_left_s"] < LEASE_SHORT_S,
            held=held.get(one["id"], ()),
            is_of_many=one["service"] in many,
        )
        for one in sorted(workers, key=lambda one: (one["service"], one["version"], one["started_at"]))
    ]


def versions_of(workers: Sequence[Answer]) -> Mapping[str, Sequence[str]]:
    """The versions in which each service runs."""
    found: dict[str, set[str]] = {}
    for one in workers:
        found.setdefault(one["service"], set()).add(one["version"])
    return {service: sorted(versions) for service, versions in found.items()}


def jobs_of_worker(worker: str) -> str:
    """The list of the jobs that it holds."""
    return jobs_url("running", Query([Term("worker", worker)]))


def _exceeded(job: Answer, limits_s: Mapping[str, float], now: datetime) -> float | None:
    limit_s = limits_s.get(job["handler"])
    if limit_s is None or not job["started_at"]:
        return None
    return limit_s if now - from_rfc3339(job["started_at"]) > timedelta(seconds=limit_s) else None


def _started_at(job: Answer) -> str:
    return job["started_at"] or job["queued_at"] or ""


def _faults(fault: str, *, is_all: bool) -> list[str]:
    if fault:
        return [f"What they hold is not known: {fault}"]
    return [] if is_all else ["More jobs run than are looked at here: the oldest may not be shown."]
