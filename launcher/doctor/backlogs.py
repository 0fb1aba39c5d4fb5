"""Whether work gets done: each handler's backlog, its workers and the age of the oldest message in."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

from nats.js.errors import NotFoundError, ServiceUnavailableError

from launcher.doctor.findings import Finding, fault, ok, warning
from shared.bus import Backlog, together
from shared.bus.jetstream import backlog_in
from shared.bus.jetstream.wire import STREAM
from shared.bus.redis_streams import backlogs
from shared.bus.redis_streams.wire import stream_of
from shared.jobs import HandlerReader, HandlerRecord, Registry, Standing, keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from launcher.doctor.patient import Patient

_ABOUT = "work"
_OLD_S = 60.0


async def examine(patient: Patient) -> list[Finding]:
    """A finding for each handler that is behind; else one that tells how much there is to do."""
    if patient.redis is None:
        return []
    registry = Registry(patient.redis)
    handlers = list((await registry.handlers()).values())
    alive = Counter(name for worker in await registry.workers() for name in worker.handlers)
    standings = await HandlerReader(patient.redis).get([handler.name for handler in handlers])
    found = await _backlogs(patient, handlers)
    behind = [
        _judged(handler, standing, backlog, workers=alive[handler.name], now_s=patient.now())
        for handler, standing, backlog in zip(handlers, standings, found, strict=True)
    ]
    wrong = [finding for finding in behind if finding is not None]
    to_do = sum(backlog.lag + backlog.pending for backlog in found)
    return wrong or [
        ok(_ABOUT, f"{to_do} messages for {len(handlers)} handlers, none older than {_OLD_S:g} s")
    ]


async def _backlogs(patient: Patient, handlers: Sequence[HandlerRecord]) -> list[Backlog]:
    """The handlers' backlogs on all buses, in this order."""
    groups = [
        (stream, handler.name)
        for handler in handlers
        for stream in (stream_of(handler.event_type), keys.queue(handler.name))
    ]
    on_redis = await backlogs(patient.redis, groups)
    on_nats = await _on_nats(patient, handlers)
    return [together([*on_redis[2 * at : 2 * at + 2], on_nats[at]]) for at in range(len(handlers))]


async def _on_nats(patient: Patient, handlers: Sequence[HandlerRecord]) -> Sequence[Backlog]:
    if patient.nats is None:
        return [Backlog()] * len(handlers)
    jetstream = patient.nats.jetstream
    try:
        await jetstream.stream_info(STREAM)
    except (NotFoundError, ServiceUnavailableError):
        return [Backlog()] * len(handlers)
    return await asyncio.gather(*(backlog_in(jetstream, one.name, one.event_type) for one in handlers))


def _judged(
    handler: HandlerRecord, standing: Standing, backlog: Backlog, *, workers: int, now_s: float
) -> Finding | None:
    """Of two reasons the one that has to be seen to first."""
    waiting = backlog.lag + backlog.pending + standing.due
    if not waiting:
        return None
    age_s = now_s - backlog.oldest_at.timestamp() if backlog.oldest_at is not None else 0.0
    told = f"{handler.name}: {waiting} to do, the oldest for {age_s:.0f} s"
    if standing.limits.paused:
        return warning(
            _ABOUT,
            f"{told}, and it is paused",
            why="Nothing of it is done until somebody resumes it.",
            do=f'PATCH /v1/handlers/{handler.name} {{"paused": false}}',
        )
    if not workers:
        return fault(
            _ABOUT,
            f"{told}, and no worker is alive",
            why="Nobody will do it.",
            do=f"Start the service {handler.service}; its log says why it ended.",
        )
    # A long job is not late while it runs, when nothing waits behind it.
    if age_s <= (_OLD_S if backlog.lag else max(_OLD_S, handler.time_limit_s)):
        return None
    return warning(
        _ABOUT,
        f"{told}, with {workers} workers",
        why="More comes than is done, or something holds it up.",
        do=f"GET /v1/scale/{handler.service} tells the rates, GET /v1/jobs/{{id}}/explain the cause; "
        f"more workers: `--scale {handler.service}=N`.",
    )
