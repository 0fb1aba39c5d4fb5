"""An order to many jobs: a filter in, what became of them out; what it would match before.

Lists lag behind the workers for moments, so Redis is asked before each page is ordered: what was ordered a
moment ago is not ordered again, and whoever repeats the order comes to an end.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, NamedTuple

from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.history.counts import CAP, count_by_handler
from gateway.history.job_filter import Filter
from gateway.history.jobs import Jobs
from gateway.ledger.away import away
from gateway.operations.again import NOT_KEPT, RunAgain
from shared.clock import from_rfc3339
from shared.jobs import CANCELLING, GONE, JobControl, JobReader, State
from shared.telemetry import get_logger

MOST: Final = 1000
"""How many jobs one request orders."""
SAMPLE: Final = 10
LONGEST: Final = timedelta(seconds=10)
"""How long one request looks for jobs to order; an answer that comes too late is none."""

_PAGE: Final = 200
_AT_ONCE: Final = 8  # some of them need a connection to Postgres, of which there are twenty

Order = Literal["cancel", "retry"]

MAKES_SENSE: Final[dict[Order, tuple[State, ...]]] = {
    "cancel": (State.QUEUED, State.RETRYING, State.RUNNING),
    "retry": (State.DEAD, State.CANCELLED, State.EXPIRED),
}
"""The states in which a job can be ordered so."""

log = get_logger()


class Matched(NamedTuple):
    """What an order would be for; no more than `cap` are counted, in no order."""

    matched: int
    cap: int
    by_handler: dict[str, int]
    by_state: dict[str, int]
    sample: list[str]


class Ordered(NamedTuple):
    """What became of an order."""

    done: int
    skipped: dict[str, int]
    """Why jobs could not be ordered -> how many."""
    remaining: bool
    """Whether the same order again would do more."""


class MassOrders:
    """Orders jobs by a filter. Raises what Redis or Postgres raise when they are away: repeat it then."""

    def __init__(
        self, jobs: Jobs, reader: JobReader, control: JobControl, again: RunAgain, engine: AsyncEngine
    ) -> None:
        self._jobs = jobs
        self._reader = reader
        self._control = control
        self._again = again
        self._engine = engine

    async def preview(self, order: Order, wanted: Filter) -> Matched:
        """What the order would be for, as the history has it."""
        states = _states(order, wanted)
        handlers = list((await self._jobs.handlers.all()).values())
        async with self._engine.begin() as connection:
            counts = await count_by_handler(connection, wanted, states, handlers)
        by_handler, by_state = Counter[str](), Counter[str]()
        for (handler, state), jobs in counts.items():
            by_handler[handler] += jobs
            by_state[state] += jobs
        newest = self._newest(wanted, states, page=SAMPLE)
        sample = [job["id"] async for job in _first(SAMPLE, newest)] if counts else []
        return Matched(
            by_handler.total(), CAP, dict(by_handler.most_common()), dict(by_state.most_common()), sample
        )

    async def give(self, order: Order, wanted: Filter) -> Ordered:
        """Order the newest of the jobs, MOST of them at most."""
        states = _states(order, wanted)
        candidates = self._newest(wanted, states, page=_PAGE)
        outcomes, until = Counter[str](), time.monotonic() + LONGEST.total_seconds()
        while outcomes["done"] < MOST and time.monotonic() < until:
            page = [job async for job in _first(min(_PAGE, MOST - outcomes["done"]), candidates)]
            if not page:
                break
            ready = await self._ready(page, states)
            outcomes += await (self._cancel_all(ready) if order == "cancel" else self._retry_all(ready))
        is_over = [job async for job in _first(1, candidates)] == []
        done = outcomes.pop("done", 0)
        # Where nothing was done, the same again would do nothing, too.
        return Ordered(done, dict(outcomes), remaining=done > 0 and not is_over)

    async def _newest(
        self, wanted: Filter, states: Sequence[State], *, page: int
    ) -> AsyncIterator[dict[str, Any]]:
        """All jobs in these states that pass the filter, newest first; read so many at a time."""
        lists = [self._of_state(replace(wanted, state=state), page) for state in states]
        heads = [(await anext(jobs, None), jobs) for jobs in lists]
        while found := [(job, jobs) for job, jobs in heads if job is not None]:
            newest, rest = max(found, key=lambda head: (head[0]["queued_at"], head[0]["id"]))
            yield newest
            heads = [(await anext(jobs, None) if jobs is rest else job, jobs) for job, jobs in found]

    async def _of_state(self, wanted: Filter, size: int) -> AsyncIterator[dict[str, Any]]:
        after, is_over = None, False
        while not is_over:
            page = await self._jobs.page(wanted, after=after, limit=size)
            for job in page.items:
                yield job
            after, is_over = page.next, page.next is None

    async def _ready(self, jobs: Sequence[dict[str, Any]], states: Sequence[State]) -> list[dict[str, Any]]:
        """Those that are in one of the states now, and are not being cancelled already."""
        now = await self._reader.states([job["id"] for job in jobs])
        return [job for job, state in zip(jobs, now, strict=True) if (state or job["state"]) in states]

    async def _each(
        self, jobs: Sequence[dict[str, Any]], order: Callable[[dict[str, Any]], Awaitable[str]]
    ) -> Counter[str]:
        """What became of each: `done`, or why not."""
        outcomes = Counter[str]()
        for at in range(0, len(jobs), _AT_ONCE):
            some = jobs[at : at + _AT_ONCE]
            outcomes.update(await asyncio.gather(*(self._one(job, order) for job in some)))
        return outcomes

    async def _one(self, job: dict[str, Any], order: Callable[[dict[str, Any]], Awaitable[str]]) -> str:
        try:
            return await order(job)
        except Exception as error:  # one job must not hold up the others
            if away(error) is not None:
                raise
            log.exception("jobs.order_failed", job_id=job["id"])
            return "failed"

    async def _cancel_all(self, jobs: Sequence[dict[str, Any]]) -> Counter[str]:
        return await self._each(jobs, self._cancel)

    async def _retry_all(self, jobs: Sequence[dict[str, Any]]) -> Counter[str]:
        """With the events of all at once: Redis forgets them after a while, the ledger does not."""
        await self._again.reopen(jobs)
        kept = await self._again.kept(jobs)

        async def retry(job: dict[str, Any]) -> str:
            state = await self._again.queue(job, kept=kept.get(job["event_id"], NOT_KEPT))
            if state == GONE:
                return "event_gone"
            return "done" if state == State.QUEUED else "not_ended"

        return await self._each(jobs, retry)

    async def _cancel(self, job: dict[str, Any]) -> str:
        due_at = from_rfc3339(job["due_at"]) if job["due_at"] else datetime.now(UTC)
        due_in = max(timedelta(0), due_at - datetime.now(UTC))
        state = await self._control.cancel(
            job["handler"], job["event_id"], event_type=job["event_type"], due_in=due_in
        )
        return "done" if state in {CANCELLING, State.CANCELLED} else "ended"


def _states(order: Order, wanted: Filter) -> list[State]:
    """Those of the states that the order makes sense in which the filter lets pass."""
    return [state for state in MAKES_SENSE[order] if wanted.state in {None, state}]


async def _first(most: int, jobs: AsyncIterator[dict[str, Any]]) -> AsyncIterator[dict[str, Any]]:
    """The next of the jobs, so many at most; the others stay for who asks next."""
    for _ in range(most):
        job = await anext(jobs, None)
        if job is None:
            return
        yield job
