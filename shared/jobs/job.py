"""What a handler sees of its own job: id, attempt, deadline, log, and where to tell progress."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from time import monotonic

from structlog.typing import FilteringBoundLogger

from shared.contracts import Envelope
from shared.jobs.groups import GroupEnd, group_end

PROGRESS_EVERY_S = 0.25

TellProgress = Callable[[float, float, str], Awaitable[None]]


@dataclass(slots=True, kw_only=True)
class Job:
    """One handler's work on one event. `attempt` is 1 in the first run."""

    id: str
    handler: str
    attempt: int
    envelope: Envelope
    deadline: datetime
    """When the attempt is ended by its time limit."""
    log: FilteringBoundLogger
    tell_progress: TellProgress
    _told_at: float = 0.0

    @property
    def event_id(self) -> str:
        """The id of the event that the job works on."""
        return self.envelope.id

    @property
    def group(self) -> GroupEnd | None:
        """How the group ended that the event follows; None for any other event."""
        return group_end(self.envelope)

    async def progress(self, done: float, total: float, note: str = "") -> None:
        """Tell how far the work is; at most 4 times a second is written, the last step always."""
        now = monotonic()
        if done < total and now - self._told_at < PROGRESS_EVERY_S:
            return
        self._told_at = now
        await self.tell_progress(done, total, note)
