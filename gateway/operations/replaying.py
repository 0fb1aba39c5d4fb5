"""Replays at work: those in Postgres in, their dead jobs queued again out, page by page at the rate of each.

A page that is done twice (its gateway died before it could say so) is harmless: of one replay a job is queued
once. Any number of gateways may run one of these.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Final, Self

from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.history.history import History
from gateway.ledger.away import away
from gateway.ledger.ending import end
from gateway.operations.again import RunAgain
from gateway.operations.dead_set import next_dead
from gateway.operations.replays import Replay, Replays, Taken
from shared.jobs import GONE, State
from shared.telemetry import get_logger

LOOK_EVERY: Final = timedelta(seconds=1)
PAUSE: Final = timedelta(seconds=2)
"""Before the next try when Redis or Postgres is away."""
PAGES_A_SECOND: Final = 4
LARGEST_PAGE: Final = 100
_LAST_PAGE_LIMIT_S: Final = 2.0


class Replaying:
    """Does the pages of replays while it is entered."""

    def __init__(self, replays: Replays, again: RunAgain, history: History, engine: AsyncEngine) -> None:
        self._replays = replays
        self._again = again
        self._history = history
        self._engine = engine
        self._wake = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._log = get_logger()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._work_for_ever(), name="replaying")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let the page end that is being done: else it would wait for its lease."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=_LAST_PAGE_LIMIT_S)
            await end(self._task)

    def look(self) -> None:
        """There may be a new replay."""
        self._wake.set()

    async def _work_for_ever(self) -> None:
        while not self._stopping:
            try:
                pause = await self._work()
            except Exception as error:  # noqa: BLE001 - a loop: the page's lease ends, and it is done again
                report = self._log.warning if away(error) else self._log.exception
                report("replay.interrupted", error=str(error))
                pause = PAUSE
            await self._rest(pause)

    async def _work(self) -> timedelta:
        """Do one page, if one is due; how long to wait for the next look."""
        taken = await self._replays.take()
        if taken is not None:
            await self._do_page(taken)
            return timedelta(0)
        due_in = await self._replays.until_due()
        # At random, so that many gateways do not look all at once.
        longest = LOOK_EVERY * random.uniform(0.75, 1.25)  # noqa: S311 - jitter, no secret
        return longest if due_in is None else max(timedelta(0), min(due_in, longest))

    async def _rest(self, pause: timedelta) -> None:
        if not pause or self._stopping:
            return
        self._wake.clear()
        try:
            async with asyncio.timeout(pause.total_seconds()):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _do_page(self, taken: Taken) -> None:
        replay = taken.replay
        page = replay.page
        if page is None:
            page = await self._begin_page(replay)
        outcomes = await self._queue(replay, page)
        if outcomes is None:
            await self._replays.put_off(replay, PAUSE)
            return
        skipped = Counter(replay.skipped) + Counter(one for one in outcomes if one != State.QUEUED)
        replayed = outcomes.count(State.QUEUED)
        is_over = len(page) < page_size(replay.rate)
        # From when it was taken: the work does not slow the replay down, a standstill is not made up for.
        next_at = taken.at + timedelta(seconds=len(page) / replay.rate)
        is_ours = await self._replays.end_page(
            replay, replayed=replayed, skipped=skipped, next_at=next_at, is_over=is_over
        )
        if is_ours and is_over:
            total = replay.replayed + replayed
            self._log.info("replay.done", replay=replay.id, replayed=total, skipped=skipped.total())

    async def _begin_page(self, replay: Replay) -> Sequence[str]:
        """The next jobs, written down before anything is done: who takes over does the same ones."""
        async with self._engine.connect() as connection:
            found = await next_dead(
                connection,
                replay.wanted,
                before=replay.created_at,
                after=replay.last,
                limit=page_size(replay.rate),
            )
        last = found[-1] if found else replay.last
        page = [place.job_id for place in found]
        return page if await self._replays.begin_page(replay, page, last) else []

    async def _queue(self, replay: Replay, page: Sequence[str]) -> list[str] | None:
        """What became of each job; None when Redis or Postgres went away: then all of it is done again."""
        outcomes: list[str] = []
        jobs = await self._history.get(page)
        await self._again.reopen(jobs.values())
        for job_id in page:
            try:
                outcomes.append(_outcome(await self._again.queue(jobs[job_id], replay_id=replay.id)))
            except Exception as error:  # noqa: BLE001 - one job must not hold up the others
                who = away(error)
                if who is not None:
                    self._log.warning("replay.interrupted", replay=replay.id, away=who)
                    return None
                self._log.exception("replay.job_failed", replay=replay.id, job_id=job_id)
                outcomes.append("failed")
        return outcomes


def page_size(rate: float) -> int:
    """How many jobs are queued at once: some pages a second, of one job at least."""
    return max(1, min(LARGEST_PAGE, round(rate / PAGES_A_SECOND)))


def _outcome(state: str) -> str:
    """`queued`, or why the job was not queued, as the API counts it."""
    if state == State.QUEUED:
        return State.QUEUED
    return "event_gone" if state == GONE else "not_dead"
