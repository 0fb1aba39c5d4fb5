"""How far behind a handler is on one bus: counts of messages, and the age of the oldest."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple


class Backlog(NamedTuple):
    """Messages for one handler that are not done with."""

    lag: int = 0
    """Not delivered to any worker yet."""
    pending: int = 0
    """Delivered and not acknowledged: their jobs run, or are held by a worker."""
    oldest_at: datetime | None = None
    """When the oldest of all these came onto the bus."""
    unread_at: datetime | None = None
    """When the oldest came that was not delivered to any worker yet."""


def together(backlogs: Iterable[Backlog]) -> Backlog:
    """The backlogs as one."""
    all_ = list(backlogs)
    return Backlog(
        sum(backlog.lag for backlog in all_),
        sum(backlog.pending for backlog in all_),
        min((one.oldest_at for one in all_ if one.oldest_at is not None), default=None),
        min((one.unread_at for one in all_ if one.unread_at is not None), default=None),
    )
