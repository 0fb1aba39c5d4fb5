"""Changes of jobs as they happen: the log in Redis in, those who wait for a job woken."""

import asyncio
import random
from collections import OrderedDict
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import Self

from gateway.ledger.ending import end
from shared.bus.redis_streams import UNAVAILABLE
from shared.jobs import JobLog
from shared.telemetry import get_logger

log = get_logger()

BLOCK = timedelta(seconds=2)
REMEMBERED_JOBS = 10_000
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
CATCH_UP_LIMIT_S = 1.0


class Watch:
    """One waiter's bell. It rings once for any number of changes: who hears it reads how the job is now."""

    def __init__(self) -> None:
        self._bell = asyncio.Event()

    def ring(self) -> None:
        """Wake the waiter, or let its next wait return at once."""
        self._bell.set()

    async def changed(self, limit: timedelta) -> bool:
        """Wait until a watched job may have changed; False when the limit passed without."""
        try:
            async with asyncio.timeout(limit.total_seconds()):
                await self._bell.wait()
        except TimeoutError:
            return False
        self._bell.clear()
        return True


class LiveJobs:
    """The one follower of the job log in this process. Enter it to follow, leave it to stop.

    It holds no job and no backlog: a waiter has one bell, however many changes there are. While Redis
    is away it tries again with growing pauses, and rings every bell when Redis is back.
    """

    def __init__(self, log: JobLog) -> None:
        self._log = log
        self._watches: dict[str, set[Watch]] = {}
        self._latest: OrderedDict[str, str] = OrderedDict()
        self._known_after = self._after = "0-0"
        self._moved = asyncio.Event()
        self._following = False
        self._stopped = False
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._follow_for_ever(), name="live-jobs")
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop()
        if self._task is not None:
            await end(self._task)

    def stop(self) -> None:
        """End every wait and stream; call it when the process begins to drain. Idempotent."""
        self._stopped = True
        self._ring_all()

    @property
    def is_stopped(self) -> bool:
        """Whether waiting makes no sense any more."""
        return self._stopped

    @property
    def is_following(self) -> bool:
        """Whether changes are seen at once; else waiters read once a second."""
        return self._following

    @contextmanager
    def watch(self, *job_ids: str) -> Generator[Watch]:
        """A bell for these jobs. Read the jobs after you have it, so that no change falls in between."""
        watch = Watch()
        for job_id in job_ids:
            self._watches.setdefault(job_id, set()).add(watch)
        try:
            yield watch
        finally:
            for job_id in job_ids:
                watches = self._watches.get(job_id, set())
                watches.discard(watch)
                if not watches:
                    self._watches.pop(job_id, None)

    def position(self, job_id: str) -> str:
        """The log entry of the job's newest change, or where the log stands for a job that rested."""
        return self._latest.get(job_id, self._after)

    async def has_changed(self, job_id: str, since: str) -> bool:
        """Whether the job changed between that log entry and now; True where nobody can tell."""
        try:
            async with asyncio.timeout(CATCH_UP_LIMIT_S):
                await self._catch_up()
        except UNAVAILABLE:
            return True
        latest = self._latest.get(job_id)
        if latest is not None:
            return entry_order(latest) > entry_order(since)
        return entry_order(since) < entry_order(self._known_after)

    async def _catch_up(self) -> None:
        """Wait until every entry that the log has now has been read."""
        newest = entry_order(await self._log.last_id())
        while not self._following or entry_order(self._after) < newest:
            await self._moved.wait()

    async def _follow_for_ever(self) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                await self._find_place()
                self._ring_all()
                while True:
                    await self._read()
                    pause_s = FIRST_PAUSE_S
            except Exception as error:  # noqa: BLE001 - a loop: whatever fails, waiters fall back to reading once a second
                self._following = False
                log.warning("live_jobs.interrupted", error=str(error), pause_s=round(pause_s, 1))
                await asyncio.sleep(random.uniform(pause_s / 2, pause_s))  # noqa: S311 - jitter, no secret
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    async def _find_place(self) -> None:
        """Go on where we were; at the newest entry the first time, and when Redis came back empty."""
        newest = await self._log.last_id()
        was_wiped = entry_order(newest) < entry_order(self._after)
        if self._after == "0-0" or was_wiped:
            self._known_after = self._after = newest
            self._latest.clear()
        self._following = True
        self._tell_waiters()

    async def _read(self) -> None:
        for entry_id, changes in await self._log.read(self._after, block=BLOCK):
            for change in changes:
                self._remember(change.job_id, entry_id)
                for watch in self._watches.get(change.job_id, ()):
                    watch.ring()
            self._after = entry_id
        self._tell_waiters()

    def _tell_waiters(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()

    def _remember(self, job_id: str, entry_id: str) -> None:
        self._latest[job_id] = entry_id
        self._latest.move_to_end(job_id)
        if len(self._latest) > REMEMBERED_JOBS:
            _, self._known_after = self._latest.popitem(last=False)

    def _ring_all(self) -> None:
        for watches in self._watches.values():
            for watch in watches:
                watch.ring()


def entry_order(entry_id: str) -> tuple[int, int]:
    """A stream entry id as what Redis orders it by; before all others when it is none."""
    milliseconds, _, sequence = entry_id.partition("-")
    try:
        return int(milliseconds), int(sequence or 0)
    except ValueError:
        return -1, 0
