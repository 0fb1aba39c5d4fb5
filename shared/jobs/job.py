"""What a handler sees of its own job: id, attempt, deadline, log, and where to tell progress."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import TYPE_CHECKING

from structlog.typing import FilteringBoundLogger

from shared.contracts import Envelope
from shared.jobs.groups import GroupEnd, group_end

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from shared.jobs.once import Effect

PROGRESS_EVERY_S = 0.25

TellProgress = Callable[[float, float, str], Awaitable[None]]
TellNow = Callable[[float, float, str], None]


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
    tell_now: TellNow | None = None
    """Tells progress without being awaited; only in a child process."""
    _told_at: float = 0.0
    _effect: "Effect | None" = None

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
        if self._is_worth_telling(done, total):
            await self.tell_progress(done, total, note)

    def progress_now(self, done: float, total: float, note: str = "") -> None:
        """The same for a plain function, which cannot await; RuntimeError outside a child process."""
        if self.tell_now is None:
            raise RuntimeError("progress_now is for isolation='process'; here: await job.progress(...)")
        if self._is_worth_telling(done, total):
            self.tell_now(done, total, note)

    def _is_worth_telling(self, done: float, total: float) -> bool:
        now = monotonic()
        if done < total and now - self._told_at < PROGRESS_EVERY_S:
            return False
        self._told_at = now
        return True

    @asynccontextmanager
    async def once(self, engine: "AsyncEngine") -> AsyncGenerator["Effect"]:
        """A transaction for what the job does in Postgres: its effect and its outcome are there once.

            async with job.once(engine) as tx:
                await tx.execute(...)
                return tx.outcome(StockReserved(...))

        If an earlier attempt committed, the block does not run and the job ends with what was recorded. An
        error rolls all back. Without `tx.outcome` what is recorded is that there is no result. `engine` is
        one of `shared.db.connect`, the service's schema has the table of `create_inbox`. One block for a
        job: RuntimeError for a second. Leave the outside world out of it; its calls cannot be rolled back.
        """
        # Imported late: SQLAlchemy costs a third of a second that services without a database need not pay.
        from shared.jobs.once import once  # noqa: PLC0415

        if self._effect is not None:
            raise RuntimeError(f"{self.handler}: a job has one effect; put both into one block")
        async with once(engine, handler=self.handler, job_id=self.id, attempt=self.attempt) as effect:
            self._effect = effect
            try:
                yield effect
            except BaseException:
                self._effect = None  # rolled back: as if the block had not been
                raise

    def unrecorded(self, returned: object) -> bool:
        """Whether a second run would return something else than this one, for it was not recorded."""
        return self._effect is not None and returned is not self._effect.recorded
