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


def together(backlogs: Iterable[Backlog]) -> Backlog:
    """The backlogs as one."""
    all_ = list(backlogs)
    oldest = [backlog.oldest_at for backlog in all_ if backlog.oldest_at is not None]
    return Backlog(
        sum(backlog.lag for backlog in all_),
        sum(backlog.pending for backlog in all_),
        min(oldest, default=None),
    )
