"""Questions in, traces out: the reading side of traces.sqlite, each answer from a thread of its own."""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from monitor.traces import questions
from monitor.traces.search import Cursor, Dependency, Found, Operation, Search, TraceSummary
from monitor.traces.span import Span
from monitor.traces.span_file import open_for_reading

R = TypeVar("R")

READ_S = 10.0
"""The longest that a question may take; a search by tag reads every span of its service and time."""

_READERS = 4
_INSTRUCTIONS_A_CHECK = 20_000  # of sqlite's virtual machine, between two looks at the clock: under 10 ms


class ReadFailed(Exception):
    """The question took longer than READ_S, or the file cannot be read; the message says which."""


class TraceReader:
    """Asks traces.sqlite; what add() of the store has returned for is seen. Raises ReadFailed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turns = asyncio.Semaphore(_READERS)

    async def services(self) -> list[str]:
        """The services that have sent spans lately, by name."""
        return await self._ask(questions.services)

    async def operations(self, service: str, kind: str | None = None) -> list[Operation]:
        """The span names of a service, of all kinds or of one."""
        return await self._ask(lambda db: questions.operations(db, service, kind))

    async def trace(self, trace_id: bytes) -> list[Span]:
        """The spans of one trace by start; none when it is not known."""
        return await self._ask(lambda db: questions.trace(db, trace_id))

    async def find(self, search: Search) -> Found:
        """The newest traces that fit."""
        return await self._ask(lambda db: questions.find(db, search))

    async def recent(
        self, *, service: str | None = None, after: Cursor | None = None, limit: int
    ) -> tuple[list[TraceSummary], Cursor | None]:
        """A page of the newest traces, of all services or of one, and where the next page begins, if any."""
        return await self._ask(lambda db: questions.recent(db, service, after, limit))

    async def dependencies(self, *, start_us: int, end_us: int) -> list[Dependency]:
        """Which service called which, by the spans that began in this time."""
        return await self._ask(lambda db: questions.dependencies(db, start_us, end_us))

    async def _ask(self, question: Callable[[sqlite3.Connection], R]) -> R:
        async with self._turns:
            return await asyncio.to_thread(self._answer, question)

    def _answer(self, question: Callable[[sqlite3.Connection], R]) -> R:
        deadline = time.monotonic() + READ_S
        try:
            # Opened each time (0.2 ms): a file that was set aside is never read by mistake.
            with closing(open_for_reading(self._path)) as db:
                db.set_progress_handler(lambda: time.monotonic() > deadline, _INSTRUCTIONS_A_CHECK)
                db.execute("BEGIN")  # one snapshot for all the statements of a question
                return question(db)
        except sqlite3.Error as error:
            if time.monotonic() > deadline:
                raise ReadFailed(
                    f"the search took longer than {READ_S:g} s: ask for a shorter time"
                ) from error
            raise ReadFailed(f"the traces cannot be read: {error}") from error
