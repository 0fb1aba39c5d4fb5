"""The reconciler: events that are published and not settled in; jobs that were lost queued again out.

Redis and NATS may lose all that they hold; the ledger does not. A job is lost when nobody ran it to its end,
nobody runs it, it waits nowhere, and its message is gone. Age alone proves nothing: a backlog that was
published again would be two backlogs. What is lost goes into the queue of the one handler that lacks it.
"""

import asyncio
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from time import monotonic
from typing import Final, NamedTuple, Self
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.ledger import open_events
from gateway.ledger.away import away
from gateway.ledger.ending import end
from gateway.ledger.open_events import BEGINNING, Cursor, OpenEvent
from gateway.ledger.recorder import Recorder
from gateway.ledger.registered import RegisteredHandlers
from gateway.ledger.settling import remember, settle, settle_unhandled
from shared.bus import Message, Places, place_of_token
from shared.errors import BusUnavailable
from shared.jobs import HandlerRecord, JobStanding, LostJobs, Registry
from shared.telemetry import get_logger

log = get_logger()

EVERY: Final = timedelta(seconds=5)
PAGE: Final = 500
LEAST_PAGE: Final = 10
PAGES: Final = 10
LOOK_LIMIT: Final = timedelta(seconds=4)
"""For asking the buses about one page: below the 5 s that Postgres lets a transaction idle."""

# One gateway at a time; the number is ours alone, and means nothing.
_LOCK: Final = text("SELECT pg_try_advisory_xact_lock(7221604318)")


class Open(NamedTuple):
    """One job of an open event, not known to have ended."""

    event: OpenEvent
    handler: HandlerRecord

    @property
    def job_id(self) -> str:
        """Its id."""
        return self.event.job_id(self.handler)


class Found(NamedTuple):
    """What a page of open events held."""

    last: OpenEvent | None
    """Where the next page begins; None when there is none."""
    ended: Sequence[str]
    """Jobs that have ended, and of which the history does not know it."""
    done: Sequence[UUID]
    """Events whose jobs have all ended."""
    unhandled: Sequence[UUID]
    """Events that no registered handler handles."""
    queued_again: int


class Reconciler:
    """Looks for lost jobs while it is entered; any number of gateways may run one, one at a time works.

    `after` is how long an event may be open before it is looked at. While Redis, NATS or Postgres is away it
    does nothing: what cannot be seen is not gone. Nor while the recorder is further behind than half of
    `results_kept`: a job that has ended may be known to nobody then.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        places: Places,
        jobs: LostJobs,
        registry: Registry,
        recorder: Recorder,
        *,
        after: timedelta,
        results_kept: timedelta,
    ) -> None:
        self._engine = engine
        self._places = places
        self._jobs = jobs
        self._handlers = RegisteredHandlers(registry)
        self._recorder = recorder
        self._after = after
        self._results_kept = results_kept
        self._cursor = BEGINNING
        self._page_size = PAGE
        self._handlers_known_since: float | None = None
        self._task: asyncio.Task[None] | None = None
        self.queued_again = 0
        """How many jobs this process has queued again."""

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._reconcile_for_ever(), name="reconciler")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            await end(self._task)

    async def reconcile(self) -> int:
        """One round: the next pages of open events, the first after the last; how many jobs were lost.

        A bounded number of pages, but none that held a loss counts: there is more of it.
        """
        lag = await self._recorder.lag()
        if lag > self._results_kept / 2:
            log.warning("reconciler.waits_for_recorder", lag_s=round(lag.total_seconds()))
            return 0
        handlers = await self._registered()
        total, pages = 0, 0
        while handlers and pages < PAGES:
            found = await self._next_page(handlers)
            if found is None:
                break
            await self._settle(found, handlers)
            total += found.queued_again
            if not found.queued_again:
                pages += 1
            if found.last is None:
                self._cursor = BEGINNING
                break
            self._cursor = Cursor(found.last.published_at, found.last.id)
        if total:
            self.queued_again += total
            log.warning("reconciler.queued_again", jobs=total)
        return total

    async def _reconcile_for_ever(self) -> None:
        pause_s = min(EVERY, self._after / 2).total_seconds()
        is_interrupted = False
        while True:
            await asyncio.sleep(pause_s * random.uniform(0.75, 1.25))  # noqa: S311 - jitter, no secret
            try:
                await self.reconcile()
                is_interrupted = False
            except Exception as error:  # a loop: the next round tries again
                if not isinstance(error, BusUnavailable) and away(error) is None:
                    log.exception("reconciler.failed")
                elif not is_interrupted:
                    log.warning("reconciler.interrupted", error=str(error) or repr(error))
                is_interrupted = True

    async def _registered(self) -> Mapping[str, HandlerRecord]:
        """The handlers there are; none while Redis is empty, for then nobody knows whose jobs are owed."""
        handlers = await self._handlers.all()
        if not handlers:
            self._handlers_known_since = None
            return {}
        if self._handlers_known_since is None:
            self._handlers_known_since = monotonic()
        async with self._engine.begin() as connection:
            await remember(connection, handlers)
        return handlers

    async def _next_page(self, handlers: Mapping[str, HandlerRecord]) -> Found | None:
        """The page after the cursor, its lost jobs queued again; None while another gateway works."""
        async with self._engine.begin() as connection:
            if not (await connection.execute(_LOCK)).scalar_one():
                return None
            size = self._page_size
            # Smaller until a page got through: large events take their time to be looked at.
            self._page_size = max(size // 2, LEAST_PAGE)
            events = await open_events.page(connection, self._cursor, age=self._after, limit=size)
            jobs = [Open(event, handler) for event in events for handler in event.handlers(handlers)]
            recorded = await open_events.ended(connection, [job.job_id for job in jobs])
            unrecorded = [job for job in jobs if job.job_id not in recorded]
            async with asyncio.timeout(LOOK_LIMIT.total_seconds()):
                standings = await self._look(unrecorded)
                lost = await self._without_message(standings)
            queued_again = await self._queue_again(connection, lost)
        self._page_size = min(size * 2, PAGE)
        ended = [job.job_id for job, standing in standings.items() if standing.is_final]
        return Found(
            last=events[-1] if len(events) == size else None,
            ended=ended,
            done=_done(events, jobs, recorded.union(ended)),
            unhandled=[
                event.id for event in events if event.only_handler is None and not event.handlers(handlers)
            ],
            queued_again=queued_again,
        )

    async def _look(self, jobs: Sequence[Open]) -> dict[Open, JobStanding]:
        """How the jobs stand in Redis."""
        standings: dict[Open, JobStanding] = {}
        for handler, its_jobs in _by_handler(jobs).items():
            found = await self._jobs.look(handler, [str(job.event.id) for job in its_jobs])
            standings |= zip(its_jobs, found, strict=True)
        return standings

    async def _without_message(self, standings: Mapping[Open, JobStanding]) -> list[Open]:
        """Those that nobody has in hand, and whose message is nowhere."""
        adrift = {
            job: _messages(job, standing)
            for job, standing in standings.items()
            if not standing.is_final and not standing.is_held
        }
        there = await self._places.holding({message for messages in adrift.values() for message in messages})
        gone = [job for job, messages in adrift.items() if there.isdisjoint(messages)]
        # Who does not know where a message lies waits until the handler has seen all there is.
        unknown = {job.handler.name: job.handler for job in gone if not adrift[job]}
        behind = {
            name
            for name, handler in unknown.items()
            if await self._places.are_waiting(name, handler.event_type)
        }
        return [job for job in gone if adrift[job] or job.handler.name not in behind]

    async def _queue_again(self, connection: AsyncConnection, lost: Sequence[Open]) -> int:
        if not lost:
            return 0
        events = await open_events.envelopes(connection, [job.event.id for job in lost])
        queued = 0
        for jobs in _by_handler(lost).values():
            its_events = [events[job.event.id] for job in jobs]
            queued += sum(await self._jobs.queue_again(jobs[0].handler, its_events))
        return queued

    async def _settle(self, found: Found, handlers: Mapping[str, HandlerRecord]) -> None:
        """Tell the history what it missed, then settle what is done."""
        if found.ended:
            await self._recorder.record(found.ended)
        if found.done:
            async with self._engine.begin() as connection:
                await settle(connection, found.done, handlers)
        since = self._handlers_known_since
        if found.unhandled and since is not None and monotonic() - since > self._after.total_seconds():
            async with self._engine.begin() as connection:
                await settle_unhandled(connection, found.unhandled)


def _done(events: Sequence[OpenEvent], jobs: Sequence[Open], ended: set[str]) -> list[UUID]:
    """The events that have jobs, all of which have ended."""
    handled = {job.event.id for job in jobs}
    unfinished = {job.event.id for job in jobs if job.job_id not in ended}
    return [event.id for event in events if event.id in handled - unfinished]


def _messages(job: Open, standing: JobStanding) -> list[Message]:
    """Where a message for the job may lie: where its event was published, and what it was run from last."""
    places = [job.event.place] if job.event.place else []
    if standing.token:
        places.append(place_of_token(standing.token))
    return [Message(str(job.event.id), place) for place in places]


def _by_handler(jobs: Iterable[Open]) -> dict[str, list[Open]]:
    found: defaultdict[str, list[Open]] = defaultdict(list)
    for job in jobs:
        found[job.handler.name].append(job)
    return found
