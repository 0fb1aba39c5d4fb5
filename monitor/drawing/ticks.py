"""Ticks of schedules as the API shows them in, words and colours for people out; pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal, NamedTuple

from monitor.drawing.words import seconds
from shared.clock import from_rfc3339

Tick = Mapping[str, Any]

OVERDUE_AFTER: Final = timedelta(seconds=15)
"""A tick that nobody has decided by then: is there a scheduler?"""


class Shape(NamedTuple):
    """A tick in a strip: high is what fired, low what was skipped, round what somebody asked for."""

    colour: Literal["good", "warn", "error", "busy", "calm"]
    title: str
    is_high: bool
    is_round: bool


_COLOURS: Final[Mapping[str, Literal["good", "warn", "error", "busy", "calm"]]] = {
    "on_time": "good",
    "late": "warn",
    "by_hand": "busy",
    "superseded": "warn",
    "overlap": "warn",
    "missed": "error",
    "too_late": "error",
    "invalid": "error",
    "paused": "calm",
}
_WHY: Final = {
    "on_time": "on time",
    "by_hand": "by hand",
    "late": "late",
    "missed": "missed: nobody was there to decide it",
    "superseded": "missed, and a later one fired for it",
    "too_late": "missed too long ago to catch up",
    "paused": "paused",
    "overlap": "jobs of an earlier one had not ended",
    "invalid": "its data do not fit the event any more",
}
_UTC: Final = "UTC"
_CALM: Final = frozenset({"on_time", "by_hand", "paused"})


def why(tick: Tick) -> str:
    """Why it fired or was skipped: `late by 3 min`, `jobs of an earlier one had not ended`."""
    cause: str = tick["cause"]
    said = _WHY.get(cause, cause)
    return f"{said} by {seconds(tick['late_s'])}" if tick["cause"] == "late" else said


def is_notable(tick: Tick) -> bool:
    """Whether somebody should look: it was late, or was skipped for a reason that nobody chose."""
    return tick["cause"] not in _CALM


def shape(tick: Tick) -> Shape:
    """The tick as a mark in a strip."""
    title = f"{tick['tick'][:19].replace('T', ' ')} UTC: {tick['decision']}, {why(tick)}"
    return Shape(
        _COLOURS.get(tick["cause"], "warn"),
        title,
        is_high=tick["decision"] == "fired",
        is_round=tick["cause"] == "by_hand",
    )


def summary(ticks: Sequence[Tick]) -> str:
    """A strip for those who do not see it: `30 ticks: 28 on time, 2 late`."""
    if not ticks:
        return "no tick yet"
    counted = Counter(tick["cause"].replace("_", " ") for tick in ticks)
    return f"{len(ticks)} ticks: " + ", ".join(f"{number} {cause}" for cause, number in counted.most_common())


def is_overdue(schedule: Mapping[str, Any], now: datetime) -> bool:
    """Whether its next tick should have been decided: no scheduler does."""
    if schedule["status"] != "active" or schedule["next_at"] is None:
        return False
    latest = from_rfc3339(schedule["next_at"]) + timedelta(seconds=schedule["jitter"]) + OVERDUE_AFTER
    return latest < now


def local(fire: Mapping[str, Any]) -> str:
    """A tick to come as its time zone's clocks show it: `Sun 29 Mar 2026 03:00:00 +02:00`, or `... UTC`."""
    at = _local(fire)
    return f"{at:%a} {at.day} {at:%b %Y %H:%M:%S} {_offset(at)}"


def utc(fire: Mapping[str, Any]) -> str:
    """The same instant in UTC; "" where those clocks show nothing else."""
    return f"{fire['at'][:19].replace('T', ' ')} UTC" if _offset(_local(fire)) != _UTC else ""


def clocks(fire: Mapping[str, Any]) -> str:
    """What the tick has to do with clocks that are put; "" for nothing."""
    at = _local(fire)
    if fire["dst"] == "skipped" and fire["meant"]:
        meant = datetime.fromisoformat(fire["meant"])
        return f"{meant:%H:%M} does not exist on {meant.day} {meant:%B}: fires at {at:%H:%M}"
    if fire["dst"] == "repeated":
        return f"{at:%H:%M} comes twice on {at.day} {at:%B}: this is the one at {_offset(at)}"
    return ""


def fire_words(fire: Mapping[str, Any]) -> str:
    """A tick to come in one line: local time, UTC, and what is odd about it."""
    words = [local(fire), utc(fire)]
    if fire["fires_at"] != fire["at"]:
        words.append(f"with jitter {fire['fires_at'][11:19]}")
    return " · ".join(filter(None, [*words, clocks(fire)]))


def _local(fire: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(fire["local"])


def _offset(at: datetime) -> str:
    text = f"{at:%z}"
    return f"{text[:3]}:{text[3:5]}" if at.utcoffset() else _UTC
