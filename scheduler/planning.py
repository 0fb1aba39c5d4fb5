"""What one schedule does now: its entry and the time in, decided ticks and the next one out. Pure."""

from datetime import datetime
from itertools import chain
from typing import Final, NamedTuple

from shared.schedules import Decided, Definition, Due, Entry, Fire, decide, due_of

MOST_TICKS: Final = 500
"""So many are decided at a time: who was away for long is not caught up with in one transaction."""


class Plan(NamedTuple):
    """What becomes of a schedule's due ticks, and when it is looked at again."""

    definition: Definition
    decided: list[Decided]
    upcoming: Due | None
    """The first tick that is not decided; None when there is none any more."""


def plan(entry: Entry, *, now: datetime, is_open: bool) -> Plan:
    """Decide the schedule's ticks up to `now`; `is_open`: jobs of a former one have not ended.

    TimingError when its times are none any more: a time zone that this machine does not know.
    """
    definition = entry.definition
    due, upcoming = _due(entry, now)
    decided = decide(
        due,
        definition.policy(is_paused=entry.paused_at is not None),
        now=now,
        is_open=is_open,
        are_all=upcoming is None or upcoming.fires_at > now,
    )
    return Plan(definition, decided, upcoming)


def _due(entry: Entry, now: datetime) -> tuple[list[Due], Due | None]:
    """Those that are due, and the tick that comes after them."""
    if entry.next_at is None:
        return [], None
    due: list[Due] = []
    for fire in chain([Fire(entry.next_at)], entry.definition.timing.after(entry.next_at)):
        next_ = due_of(entry.definition, fire.at)
        if next_.fires_at > now or len(due) == MOST_TICKS:
            return due, next_
        due.append(next_)
    return due, None
