"""Keeps one program running: what to run in; started, started again after each death, and stopped, out."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from launcher.errors import LauncherError, StartFailed
from launcher.process import Process, describe_exit

if TYPE_CHECKING:
    from collections.abc import Callable

    from launcher.process import Command

READY_LIMIT = timedelta(seconds=60)
_DEATHS_TO_GIVE_UP = 3
_READY_POLL_S = 0.05


class Program(Protocol):
    """What can be supervised; a Server is one."""

    @property
    def name(self) -> str:
        """What it is called in logs."""
        ...

    async def command(self) -> Command:
        """Prepare what is needed (idempotent) and say what to run."""
        ...

    async def answers(self) -> bool:
        """Whether it is ready."""
        ...


@dataclass(frozen=True)
class Backoff:
    """The wait before a restart: 0.1 s, doubled by each death, 5 s at most; a life of 10 s starts it anew."""

    first: timedelta = timedelta(seconds=0.1)
    longest: timedelta = timedelta(seconds=5)
    good_life: timedelta = timedelta(seconds=10)

    def delay(self, death: int) -> timedelta:
        """The wait after the nth death in a row (the first is 1)."""
        return min(self.first * 2 ** min(death - 1, 30), self.longest)

    def deaths(self, before: int, lived: timedelta) -> int:
        """How many deaths in a row this one makes."""
        return 1 if lived >= self.good_life else before + 1


class Child:
    """A supervised program: start() waits until it is ready, then it is kept alive until stop()."""

    def __init__(
        self,
        program: Program,
        *,
        sink: Callable[[str], None],
        say: Callable[[str], None],
        changed: Callable[[], None],
        grace: timedelta,
        backoff: Backoff | None = None,
    ) -> None:
        self.name = program.name
        self.process: Process | None = None
        self.restarts = 0
        self._program = program
        self._sink = sink
        self._say = say
        self._changed = changed
        self._grace = grace
        self._backoff = backoff or Backoff()
        self._stopping = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._last_words = ("", ())

    async def start(self, *, limit: timedelta = READY_LIMIT) -> None:
        """Run it and wait until it is ready; raises StartFailed when it dies thrice or takes too long."""
        process = await self._launched()
        self._keeper = asyncio.create_task(self._keep_alive(process), name=f"keep {self.name} alive")
        try:
            async with asyncio.timeout(limit.total_seconds()):
                await self._ready()
        except TimeoutError as late:
            lines = self.process.last_lines() if self.process else ()
            why = f"not ready after {limit.total_seconds():.0f} s"
            raise StartFailed(self.name, why, last_lines=lines) from late

    async def stop(self) -> None:
        """Let it end within its grace period, then kill it; harmless when it never started."""
        self._stopping.set()
        if self.process is not None:
            await self.process.stop(self._grace)
        if self._keeper is not None:
            await self._keeper

    def kill(self) -> None:
        """End it at once and for good; stop() then returns quickly."""
        self._stopping.set()
        if self.process is not None:
            self.process.kill_now()

    async def _ready(self) -> None:
        while not await self._program.answers():
            if self.restarts >= _DEATHS_TO_GIVE_UP:
                why, lines = self._last_words
                raise StartFailed(self.name, why, last_lines=lines)
            await asyncio.sleep(_READY_POLL_S)

    async def _launched(self) -> Process | None:
        """None when stop() came first: nothing may start behind its back."""
        command = await self._program.command()
        if self._stopping.is_set():
            return None
        self.process = Process.start(command, self._sink)
        self._changed()
        return self.process

    async def _keep_alive(self, process: Process | None) -> None:
        deaths = 0
        while not self._stopping.is_set():
            started = time.monotonic()
            why = await self._end_of(process)
            if self._stopping.is_set():
                return
            deaths = self._backoff.deaths(deaths, timedelta(seconds=time.monotonic() - started))
            await self._pause(why, self._backoff.delay(deaths))
            process = await self._relaunched()

    async def _end_of(self, process: Process | None) -> str:
        if process is None:
            return "could not be started"
        why = describe_exit(await process.exited())
        self._last_words = (why, process.last_lines())
        return why

    async def _pause(self, why: str, delay: timedelta) -> None:
        self.restarts += 1
        self._say(f"{self.name} {why}: started again in {delay.total_seconds():.1f} s")
        with suppress(TimeoutError):
            async with asyncio.timeout(delay.total_seconds()):
                await self._stopping.wait()

    async def _relaunched(self) -> Process | None:
        try:
            return await self._launched()
        except (OSError, LauncherError) as error:  # no memory, no disk: it is tried again like any death
            self._say(f"{self.name} could not be started: {error}")
            return None
