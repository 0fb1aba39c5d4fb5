"""Spans in, a promise out that is kept once they are committed: one queue, one thread that writes."""

import asyncio
import contextlib
import functools
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import ParamSpec, TypeVar

import structlog

from monitor.metrics import MonitorMetrics
from monitor.traces.span import Span
from monitor.traces.span_file import FolderLock, is_damage
from monitor.traces.span_writer import SpanWriter, Turn

P = ParamSpec("P")
R = TypeVar("R")

log = structlog.get_logger(__name__)

QUEUED_MAX = 32_768
"""Spans that may wait for the writer: about one second of its work, some 60 MB."""

_SPANS_A_TURN = 4_096
_IDLE_TURN_S = 15.0
_STOP_S = 10.0


class QueueFull(Exception):
    """More spans wait than the writer can take; the sender tries again later."""


class StoreFailed(Exception):
    """The spans could not be written, by a full disk for instance; the sender tries again later."""


@dataclass
class _Arrival:
    spans: Sequence[Span]
    is_stored: "asyncio.Future[None]" = field(repr=False)


class SpanStore:
    """Owns the writing side of traces.sqlite, between start() and stop()."""

    def __init__(
        self, folder: Path, *, spans_max: int, retention: timedelta, metrics: MonitorMetrics
    ) -> None:
        self.path = folder / "traces.sqlite"
        self._writer = SpanWriter(self.path, spans_max=spans_max, retention=retention)
        self._metrics = metrics
        self._arrivals: deque[_Arrival] = deque()
        self._queued = 0
        self._wake = asyncio.Event()
        self._stopping = False
        self._fault: str | None = None
        self._lock: FolderLock | None = None
        self._loop: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="span-writer")

    async def start(self) -> None:
        """Open the file; FileInUse when another monitor has it, OSError when the folder is of no use."""
        self._lock = FolderLock(self.path.parent)
        kept = await self._in_thread(self._writer.open)
        self._metrics.kept.set(kept)
        self._loop = asyncio.create_task(self._write_until_stopped(), name="span-writer")

    async def stop(self) -> None:
        """Write what is queued, then close the file."""
        self._stopping = True
        self._wake.set()
        if self._loop is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_STOP_S):
                    await self._loop
        await self._in_thread(self._writer.close)
        self._thread.shutdown()
        if self._lock is not None:
            self._lock.release()

    async def add(self, spans: Sequence[Span]) -> None:
        """Return when the spans are committed; QueueFull or StoreFailed when they are not.

        A span that is there already is left as it is, so sending twice is harmless. Cancelling gives up the
        wait, not the write.
        """
        # Whatever its size, a request that finds the queue empty is taken: no retry would make it smaller.
        if self._stopping or (self._queued and self._queued + len(spans) > QUEUED_MAX):
            raise QueueFull
        arrival = _Arrival(spans, asyncio.get_running_loop().create_future())
        self._arrivals.append(arrival)
        self._count_queued(len(spans))
        self._wake.set()
        await arrival.is_stored

    def fault(self) -> str | None:
        """Why the store takes no spans at the moment, in one line; None when it does."""
        if self._loop is None or self._loop.done():
            return "the writer is not running"
        if self._queued > QUEUED_MAX:
            return f"{self._queued} spans wait for the writer"
        return self._fault

    async def _write_until_stopped(self) -> None:
        is_behind = False
        while not (self._stopping and not self._arrivals):
            if not self._arrivals and not is_behind:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_IDLE_TURN_S):
                        await self._wake.wait()
            self._wake.clear()
            arrivals = self._next_arrivals()
            is_behind = await self._write(arrivals)

    def _next_arrivals(self) -> list[_Arrival]:
        taken: list[_Arrival] = []
        spans = 0
        while self._arrivals and spans < _SPANS_A_TURN:
            arrival = self._arrivals.popleft()
            taken.append(arrival)
            spans += len(arrival.spans)
        return taken

    async def _write(self, arrivals: Sequence[_Arrival]) -> bool:
        spans = [span for arrival in arrivals for span in arrival.spans]
        try:
            turn = await self._in_thread(self._turn, spans)
        except Exception as error:  # noqa: BLE001 -- whatever it is, senders must hear of it and the loop go on
            self._fault = f"the last write failed: {error}"
            log.error("monitor.spans_not_stored", spans=len(spans), error=repr(error))  # noqa: TRY400 -- one line
            _settle(arrivals, StoreFailed(str(error)))
            return False
        finally:
            self._count_queued(-len(spans))
        self._fault = None
        self._metrics.stored.inc(turn.stored)
        self._metrics.evicted.inc(turn.evicted)
        self._metrics.kept.set(turn.kept)
        _settle(arrivals, None)
        return turn.is_behind

    def _turn(self, spans: Sequence[Span]) -> Turn:
        try:
            return self._writer.turn(spans)
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
        # The file broke under us: open() sets it aside, and the spans go into a fresh one.
        self._writer.open()
        return self._writer.turn(spans)

    def _count_queued(self, spans: int) -> None:
        self._queued += spans
        self._metrics.queued.set(self._queued)

    async def _in_thread(self, work: Callable[P, R], *args: P.args, **options: P.kwargs) -> R:
        call = functools.partial(work, *args, **options)
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)


def _settle(arrivals: Sequence[_Arrival], error: StoreFailed | None) -> None:
    for arrival in arrivals:
        if arrival.is_stored.done():  # its request was cancelled
            continue
        if error is None:
            arrival.is_stored.set_result(None)
        else:
            arrival.is_stored.set_exception(error)
