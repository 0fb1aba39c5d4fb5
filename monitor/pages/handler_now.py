"""The answers about handlers, backlogs and the last hour in, each handler as it stands now out; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from monitor.pages.figures import Figures, Track
from shared.clock import rfc3339

Answer = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerNow:
    """A handler with what is known of it; None where nobody could tell."""

    name: str
    service: str
    event_type: str
    version: str
    description: str
    registered_at: str
    paused: bool
    note: str | None
    since: str | None
    workers: int
    running: int
    retrying: int
    dead: int
    concurrency: int | None
    worker_concurrency: int
    rate: float | None
    defaults: Mapping[str, float | None]
    max_attempts: int
    time_limit_s: float
    queued: int | None
    """Jobs that nobody has begun: unread, or with a worker that has no place for them yet."""
    oldest_at: str | None
    """Since when the oldest of them waits."""
    oldest_age_s: float | None
    started_per_s: float | None
    ended_per_s: float | None
    causes: Sequence[str]
    """The types of the events that it can cause."""
    track: Track | None
    """The last hour."""

    @property
    def places(self) -> int:
        """How many of its jobs may run at a time, with the workers that are alive."""
        of_workers = self.workers * self.worker_concurrency
        return of_workers if self.concurrency is None else min(of_workers, self.concurrency)

    @property
    def changed(self) -> Sequence[str]:
        """Which limits an operator has set in place of the code's."""
        return [name for name, coded in self.defaults.items() if getattr(self, name) != coded]


def handlers_now(
    handlers: Sequence[Answer], scale: Sequence[Answer], figures: Figures | None, *, now: datetime
) -> list[HandlerNow]:
    """The handlers, by service and name."""
    measured = {one["name"]: one for service in scale for one in service["handlers"]}
    found = [
        _handler(one, measured.get(one["name"], {}), figures.of(one["name"]) if figures else None, now)
        for one in handlers
    ]
    return sorted(found, key=lambda one: (one.service, one.name))


def by_service(handlers: Sequence[HandlerNow]) -> Mapping[str, Sequence[HandlerNow]]:
    """The same, grouped."""
    groups: dict[str, list[HandlerNow]] = {}
    for one in handlers:
        groups.setdefault(one.service, []).append(one)
    return groups


def since(age_s: float | None, now: datetime) -> str | None:
    """The instant of an age, to the second: drawn again and again it stays the same text."""
    if age_s is None:
        return None
    return rfc3339((now - timedelta(seconds=age_s)).replace(microsecond=0))


def _handler(one: Answer, measured: Answer, track: Track | None, now: datetime) -> HandlerNow:
    queued, age_s = _queued(measured)
    return HandlerNow(
        name=one["name"],
        service=one["service"],
        event_type=one["event_type"],
        version=one["version"],
        description=one["description"],
        registered_at=one["registered_at"],
        paused=one["paused"],
        note=one["note"],
        since=one["since"],
        workers=one["workers"],
        running=one["running"],
        retrying=one["waiting"],
        dead=one["dead"],
        concurrency=one["concurrency"],
        worker_concurrency=one["worker_concurrency"],
        rate=one["rate"],
        defaults=one["defaults"],
        max_attempts=one["max_attempts"],
        time_limit_s=one["time_limit_s"],
        queued=queued,
        oldest_at=since(age_s, now),
        oldest_age_s=age_s,
        started_per_s=measured.get("started_per_s"),
        ended_per_s=measured.get("ended_per_s"),
        causes=one.get("causes", ()),
        track=track,
    )


def _queued(measured: Answer) -> tuple[int | None, float | None]:
    """How many jobs nobody has begun, and the age of the oldest.

    The oldest message of all is one of these only while none runs.
    """
    lag, pending, running = measured.get("lag"), measured.get("pending"), measured.get("running", 0)
    if lag is None or pending is None:
        return None, None
    queued = lag + max(pending - running, 0)
    age_s = measured.get("unread_age_s") if running else measured.get("oldest_age_s")
    return queued, age_s if queued else None
