"""The warm child processes of one service: a job of a process handler in, its outcome out.

A child works on one job at a time, so there are as many as jobs run at a time, which the reception limits.
The first of each handler starts with the service and proves that the handler can run; the others start when
they are needed and stay. No child is shared by two handlers: what one leaks, the other does not pay for.
"""

import asyncio
import sys
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager

from shared.errors import SettingsError
from shared.jobs.child_process import CannotRun, ChildProcess
from shared.jobs.frames import Hello, Run
from shared.jobs.handlers import Handler
from shared.jobs.job import TellProgress
from shared.jobs.origin import origin_of
from shared.jobs.outcomes import ProcessDied
from shared.jobs.verdict import Outcome
from shared.telemetry import LogFormat, get_logger

JOBS_PER_CHILD = 1000
"""After so many jobs a child is replaced: what leaks does not leak for ever."""

_log = get_logger()


class Children:
    """Runs the jobs of process handlers. Use it as `async with Children.open(...) as children`."""

    def __init__(self, *, log_level: str, log_format: LogFormat | None) -> None:
        self._log_level = log_level
        self._log_format: LogFormat | None = log_format
        self._idle: dict[str, list[ChildProcess]] = {}
        self._hellos: dict[str, Hello] = {}
        self._all: set[ChildProcess] = set()
        self._leaving: set[asyncio.Task[None]] = set()

    @classmethod
    @asynccontextmanager
    async def open(
        cls, handlers: Iterable[Handler], *, log_level: str, log_format: LogFormat | None
    ) -> AsyncGenerator["Children"]:
        """Start one child for each process handler; SettingsError says which one cannot run, and why."""
        children = cls(log_level=log_level, log_format=log_format)
        try:
            await children._start_first([one for one in handlers if one.isolation == "process"])
            yield children
        finally:
            await children._stop()

    async def run(self, handler: Handler, run: Run, tell: TellProgress) -> Outcome:
        """The outcome of the job, which may take until the handler's hard limit.

        Raises HardTimeLimitExceeded or ProcessDied; either way the child is gone. Cancelling it cancels the
        handler: it has a second to end, and when it ends as if nothing had happened, so does this call.
        """
        while True:
            child = self._take(handler.name) or await self._start(handler)
            try:
                return await child.run(run, hard_limit=handler.hard_limit, tell=tell)
            except ProcessDied:
                if child.has_begun or child.jobs == 0:
                    raise
                # It died while it was idle, and we had not heard of it: another one takes the job.
            finally:
                self._put_back(handler.name, child)

    async def _start_first(self, handlers: list[Handler]) -> None:
        self._hellos = {handler.name: self._hello(handler) for handler in handlers}
        started = await asyncio.gather(*(self._start(one) for one in handlers), return_exceptions=True)
        for handler, child in zip(handlers, started, strict=True):
            if isinstance(child, ChildProcess):
                self._put_back(handler.name, child)
            elif isinstance(child, CannotRun | ProcessDied):
                raise SettingsError(f"{handler.name} cannot run in a child process: {child}") from child
            else:
                raise child

    async def _start(self, handler: Handler) -> ChildProcess:
        child = await ChildProcess.start(self._hellos[handler.name])
        self._all.add(child)
        _log.debug("child.started", handler=handler.name, child_pid=child.pid)
        return child

    def _hello(self, handler: Handler) -> Hello:
        return Hello(
            origin=origin_of(handler),
            service=handler.service,
            path=sys.path,
            log_level=self._log_level,
            log_format=self._log_format,
        )

    def _take(self, handler: str) -> ChildProcess | None:
        """The child that worked last, so that the others may be swapped out; None when all work."""
        idle = self._idle.get(handler, [])
        while idle:
            child = idle.pop()
            if child.is_alive:
                return child
            self._let_go(child)
        return None

    def _put_back(self, handler: str, child: ChildProcess) -> None:
        if not (child.is_alive and child.is_idle):
            child.kill()
            self._let_go(child)
        elif child.is_last or child.jobs >= JOBS_PER_CHILD:
            self._let_go(child)
        else:
            self._idle.setdefault(handler, []).append(child)

    def _let_go(self, child: ChildProcess) -> None:
        self._all.discard(child)
        leaving = asyncio.create_task(child.stop())
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

    async def _stop(self) -> None:
        try:
            await asyncio.gather(*(child.stop() for child in self._all), *self._leaving)
        finally:
            for child in self._all:
                child.kill()
