"""What becomes of the ticks that are due: instants and the schedule's policies in, decisions out. Pure.

A tick that is claimed within ON_TIME of its instant is on time and fires. Any other was missed, because the
scheduler or the database was away, and the misfire policy says what becomes of it:

skip        none of the missed fires
fire_once   the latest of the missed fires, unless a tick that is on time says the same now
fire_all    each of the missed fires

A missed tick that is older than the catch-up window does not fire under any policy.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Literal, NamedTuple

ON_TIME: Final = timedelta(seconds=5)
"""How late a tick may be claimed and is on time still."""

Misfire = Literal["skip", "fire_once", "fire_all"]
Overlap = Literal["allow", "skip"]


class Cause(StrEnum):
    """Why a tick fired, or was skipped."""

    ON_TIME = "on_time"
    LATE = "late"
    BY_HAND = "by_hand"
    MISSED = "missed"
    SUPERSEDED = "superseded"
    TOO_LATE = "too_late"
    PAUSED = "paused"
    OVERLAP = "overlap"
    INVALID = "invalid"


FIRED: Final = frozenset({Cause.ON_TIME, Cause.LATE, Cause.BY_HAND})
"""The causes of ticks that fired; the others were skipped."""


class Due(NamedTuple):
    """A tick that is due."""

    tick: datetime
    fires_at: datetime
    """The tick, and its jitter."""


class Decided(NamedTuple):
    """A tick and what became of it."""

    due: Due
    cause: Cause

    @property
    def is_fired(self) -> bool:
        """Whether its event is published."""
        return self.cause in FIRED


class Policy(NamedTuple):
    """How a schedule wants its ticks handled."""

    misfire: Misfire
    catch_up: timedelta
    overlap: Overlap
    is_paused: bool = False


def decide(
    ticks: Sequence[Due], policy: Policy, *, now: datetime, is_open: bool = False, are_all: bool = True
) -> list[Decided]:
    """A decision for each of the due ticks, which come in order.

    `is_open`: jobs of a former tick have not ended. `are_all`: False when more are due than these.
    """
    if policy.is_paused:
        return [Decided(due, Cause.PAUSED) for due in ticks]
    latest = _latest_missed(ticks, policy, now) if are_all else None
    decided: list[Decided] = []
    for due in ticks:
        cause = _cause(due, policy, now=now, is_latest=due is latest)
        if cause in FIRED and policy.overlap == "skip":
            cause, is_open = (Cause.OVERLAP if is_open else cause), True
        decided.append(Decided(due, cause))
    return decided


def _latest_missed(ticks: Sequence[Due], policy: Policy, now: datetime) -> Due | None:
    """The one missed tick that fires for all of them, if one is to."""
    if policy.misfire != "fire_once" or not ticks or not _is_missed(ticks[-1], now):
        return None
    return ticks[-1]


def _cause(due: Due, policy: Policy, *, now: datetime, is_latest: bool) -> Cause:
    if not _is_missed(due, now):
        return Cause.ON_TIME
    if policy.misfire == "skip":
        return Cause.MISSED
    if now - due.fires_at > policy.catch_up:
        return Cause.TOO_LATE
    if policy.misfire == "fire_once" and not is_latest:
        return Cause.SUPERSEDED
    return Cause.LATE


def _is_missed(due: Due, now: datetime) -> bool:
    return now - due.fires_at > ON_TIME
