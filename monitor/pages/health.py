"""Measurements in, what is wrong with them out, in words: all thresholds stand here. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import sqrt
from typing import Any, Final, Literal

from monitor.drawing.words import count
from monitor.pages.figures import LATELY_MIN, Track, Version
from monitor.pages.handler_now import HandlerNow, by_service
from shared.clock import from_rfc3339

Level = Literal["ok", "calm", "warning", "fault"]

WAITS_LONG_S: Final = 60.0
WAITS_TOO_LONG_S: Final = 300.0
STALLED_S: Final = 60.0
FAILING_RATIO: Final = 0.05
FAILING_LEAST: Final = 5
DEAD_MANY: Final = 20
LATE: Final = timedelta(seconds=30)
VERY_LATE: Final = timedelta(minutes=5)
WORSE_LEAST: Final = 5
WORSE_BY: Final = 0.02
WORSE_SIGMAS: Final = 3.0

_RANK: Final[Mapping[Level, int]] = {"ok": 0, "calm": 0, "warning": 1, "fault": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing to know. `since` is an instant where the number is a length of time up to now."""

    name: str
    level: Level
    why: str
    link: str
    number: int | None = None
    since: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stuck:
    """A handler whose work waits while nobody begins any."""

    handler: HandlerNow
    level: Level
    why: str


def worst(levels: Sequence[Level]) -> Level:
    """The one to act on first."""
    ranked: list[Level] = sorted(levels, key=lambda level: _RANK[level])
    return ranked[-1] if ranked else "ok"


@dataclass(frozen=True, slots=True)
class Verdict:
    """All findings in a few words."""

    level: Level
    words: str
    title: str


def verdict(findings: Sequence[Finding]) -> Verdict:
    """How all is: `2 faults, 1 warning`."""
    told = [
        f"{number} {level}{'s' * (number != 1)}"
        for level in ("fault", "warning")
        if (number := sum(one.level == level for one in findings))
    ]
    level = worst([one.level for one in findings])
    if not told:
        return Verdict("ok", "All is well", "Overview")
    return Verdict(level, ", ".join(told), f"{told[0]}: Overview")


def oldest_waiting(handlers: Sequence[HandlerNow]) -> Finding:
    """Since when the oldest job waits that nobody has begun; paused handlers are another finding."""
    unknown = _unknown_of(handlers)
    waiting = [one for one in handlers if one.oldest_age_s is not None and not one.paused]
    oldest = max(waiting, key=lambda one: one.oldest_age_s or 0, default=None)
    if oldest is None:
        why = unknown or "nothing waits"
        return Finding(
            name="Oldest waiting", level="warning" if unknown else "ok", why=why, link="/jobs?state=queued"
        )
    return Finding(
        name="Oldest waiting",
        level=_waits(oldest),
        why=f"of {oldest.name}",
        link=f"/handlers/{oldest.name}",
        since=oldest.oldest_at,
    )


def running(handlers: Sequence[HandlerNow]) -> Finding:
    """How many jobs run."""
    number = sum(one.running for one in handlers)
    retrying = sum(one.retrying for one in handlers)
    return Finding(
        name="Running",
        level="calm",
        number=number,
        why=f"{count(retrying)} more wait for a retry or their time"
        if retrying
        else "no job waits for a retry",
        link="/jobs?state=running",
    )


def waiting(handlers: Sequence[HandlerNow]) -> Finding:
    """How many jobs nobody has begun."""
    unknown = _unknown_of(handlers)
    known = [one.queued for one in handlers if one.queued is not None]
    number = sum(known) if known or not handlers else None
    paused = sum(one.queued or 0 for one in handlers if one.paused)
    why = f"{count(paused)} of them for handlers that are paused" if paused else "not begun by any worker"
    if unknown:
        why = f"at least: {unknown}" if known else unknown
    return Finding(
        name="Waiting",
        level="warning" if unknown else "calm",
        number=number,
        why=why,
        link="/jobs?state=queued",
    )


def is_failing(track: Track | None) -> bool:
    """Whether more than a few attempts of the last minutes failed, and more than a small part."""
    if track is None:
        return False
    return track.failed_lately >= FAILING_LEAST and (track.ratio_lately or 0) > FAILING_RATIO


def failing(handlers: Sequence[HandlerNow], *, is_known: bool) -> Finding:
    """Which handlers fail now."""
    found = sorted(
        (one for one in handlers if is_failing(one.track)),
        key=lambda one: -(one.track.failed_lately if one.track else 0),
    )
    if not is_known:
        return _unknown("Failing handlers", "/handlers")
    return Finding(
        name="Failing handlers",
        level="fault" if found else "ok",
        number=len(found),
        why=_some([one.name for one in found]) if found else f"in the last {LATELY_MIN} minutes",
        link=f"/handlers/{found[0].name}" if len(found) == 1 else "/handlers",
    )


def stuck(handlers: Sequence[HandlerNow]) -> list[Stuck]:
    """Whose work waits while nobody begins any, and why; the worst first."""
    found = [one for handler in handlers if (one := _stuck(handler)) is not None]
    return sorted(found, key=lambda one: (-_RANK[one.level], -(one.handler.oldest_age_s or 0)))


def level_of(one: HandlerNow) -> Level:
    """How bad it is that work waits for the handler."""
    found = _stuck(one)
    return worst([_waits(one), *([found.level] if found else [])])


def stalled(found: Sequence[Stuck], handlers: Sequence[HandlerNow]) -> Finding:
    """How many handlers are stuck."""
    unknown = _unknown_of(handlers)
    if unknown and not found:
        return Finding(name="Stalled handlers", level="warning", why=unknown, link="/handlers")
    return Finding(
        name="Stalled handlers",
        level=worst([one.level for one in found]),
        number=len(found),
        why=_some([f"{one.handler.name}: {one.why}" for one in found], most=1)
        if found
        else "whatever waits is being worked on",
        link=f"/handlers/{found[0].handler.name}" if len(found) == 1 else "/handlers",
    )


def dead(total: Mapping[str, float | None] | None) -> Finding:
    """How many jobs gave up in the last hour."""
    if total is None:
        return _unknown("Dead in the last hour", "/dead")
    number = int(total["dead"] or 0)
    level: Level = "fault" if number >= DEAD_MANY else "warning" if number else "ok"
    return Finding(
        name="Dead in the last hour",
        level=level,
        number=number,
        why="jobs without attempts left, or refused" if number else "no job gave up",
        link="/dead",
    )


def late_schedules(schedules: Sequence[Mapping[str, Any]] | None, *, now: datetime) -> Finding:
    """Which schedules should have ticked and did not."""
    if schedules is None:
        return _unknown("Late schedules", "/schedules")
    late = {
        one["name"]: now - from_rfc3339(one["next_at"])
        for one in schedules
        if one["status"] == "active" and one["next_at"] and from_rfc3339(one["next_at"]) < now - LATE
    }
    is_very = any(by >= VERY_LATE for by in late.values())
    return Finding(
        name="Late schedules",
        level="fault" if is_very else "warning" if late else "ok",
        number=len(late),
        why=_some(list(late)) if late else f"of {count(len(schedules))}",
        link="/schedules",
    )


def without_workers(handlers: Sequence[HandlerNow]) -> Mapping[str, Sequence[HandlerNow]]:
    """Services none of whose handlers has a worker that is alive."""
    return {
        name: group for name, group in by_service(handlers).items() if not any(one.workers for one in group)
    }


def workers(handlers: Sequence[HandlerNow], alive: Sequence[Mapping[str, Any]]) -> Finding:
    """Who is there to work."""
    lacking = without_workers(handlers)
    waits = any(one.queued or one.retrying for group in lacking.values() for one in group)
    services = len({one["service"] for one in alive})
    level: Level = "fault" if waits or (handlers and not alive) else "warning" if lacking else "ok"
    why = f"none of {_some(list(lacking))}" if lacking else f"of {services} service{'s' * (services != 1)}"
    return Finding(name="Workers", level=level, number=len(alive), why=why, link="/workers")


def worse_versions(versions: Sequence[Version]) -> set[str]:
    """Versions that fail clearly more often than the others together, by more than chance explains."""
    return {one.name for one in versions if _is_worse(one, [other for other in versions if other != one])}


def _waits(one: HandlerNow) -> Level:
    """Of a paused handler work is meant to wait."""
    age_s = 0 if one.paused else one.oldest_age_s or 0
    return "fault" if age_s >= WAITS_TOO_LONG_S else "warning" if age_s >= WAITS_LONG_S else "ok"


def _stuck(one: HandlerNow) -> Stuck | None:
    if not one.queued:
        return None
    if one.workers == 0:
        return Stuck(handler=one, level="fault", why=f"no worker of {one.service} is alive")
    if one.paused:
        note = f": {one.note}" if one.note else ""
        return Stuck(handler=one, level="warning", why=f"paused{note}")
    if (one.oldest_age_s or 0) < STALLED_S or one.started_per_s:
        return None
    if one.running and one.running >= one.places:
        places = "its one place is" if one.places == 1 else f"all its {one.places} places are"
        return Stuck(handler=one, level="warning", why=f"{places} taken by jobs that run long")
    alive = "1 worker is" if one.workers == 1 else f"{one.workers} workers are"
    return Stuck(handler=one, level="fault", why=f"no job started in the last minute, though {alive} alive")


def _is_worse(one: Version, others: Sequence[Version]) -> bool:
    rest = Version("", sum(other.ended for other in others), sum(other.failed for other in others))
    if one.failed < WORSE_LEAST or not rest.attempts:
        return False
    by = one.ratio - rest.ratio
    in_all = (one.failed + rest.failed) / (one.attempts + rest.attempts)
    by_chance = sqrt(in_all * (1 - in_all) * (1 / one.attempts + 1 / rest.attempts))
    return by >= WORSE_BY and by > WORSE_SIGMAS * by_chance


def _unknown(name: str, link: str) -> Finding:
    return Finding(name=name, level="warning", why="not known: the gateway could not tell", link=link)


def _unknown_of(handlers: Sequence[HandlerNow]) -> str:
    """Of which handlers nobody can tell what waits; "" where all is known."""
    unknown = [one.name for one in handlers if one.queued is None]
    if len(unknown) == len(handlers):
        return "not known" if unknown else ""
    return f"not known of {_some(unknown)}" if unknown else ""


def _some(names: Sequence[str], *, most: int = 2) -> str:
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
