"""Kills and pauses processes of a system until it is cancelled: its state in, counts of what it did out."""

from __future__ import annotations

import asyncio
import random
import signal
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psutil

from launcher.drill.options import LEASE
from launcher.orphans import find
from launcher.probes import ask, http_ok

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from launcher.drill.options import DrillOptions
    from launcher.state import State

_KILL_EVERY_S = 1.0
_PAUSE_EVERY_S = 5.0
_LOOK_EVERY_S = 0.02
_PAUSE = 1.5 * LEASE
_LONGEST_PAUSE = 4 * LEASE


class Chaos:
    """Only processes that the system names are touched, each by its pid and the time of its start.

    `busy` tells the pids of the workers that have a job in hand, None when nobody knows: a pause of one of
    them makes a zombie.
    """

    def __init__(
        self,
        options: DrillOptions,
        state: Callable[[], State],
        busy: Callable[[], Awaitable[set[int] | None]],
    ) -> None:
        self.kills = Counter[str]()
        self.pauses = 0
        self._options = options
        self._state = state
        self._busy = busy
        # One for each, so that the choices of one do not depend on the timing of the other.
        self._kill_choice = random.Random(options.seed)  # noqa: S311 - choices, no secrets
        self._pause_choice = random.Random(options.seed + 1)  # noqa: S311 - the same
        self._paused: str | None = None
        self._is_over = False

    async def run(self, seconds: float) -> None:
        """Kill each second and pause each five seconds for that long; at the end nobody is paused."""
        tasks = [asyncio.create_task(self._kill()), asyncio.create_task(self._pause())]
        try:
            await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            # Cancelling alone is not enough: it may be lost in redis-py while it connects anew.
            self._is_over = True
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled():
                task.result()

    async def _kill(self) -> None:
        while not self._is_over:
            await asyncio.sleep(_KILL_EVERY_S)
            for name in self._order(self._kill_choice, self._options.victims):
                victim = await self._up(name)
                if victim is not None and name != self._paused and _signalled(victim, signal.SIGKILL):
                    self.kills[name.partition(".")[0]] += 1
                    break

    async def _pause(self) -> None:
        while not self._is_over:
            rest = asyncio.create_task(asyncio.sleep(_PAUSE_EVERY_S))
            await self._pause_one()
            await rest

    async def _pause_one(self) -> None:
        order = self._order(self._pause_choice, self._options.pausable)
        chosen = None
        while chosen is None and not self._is_over:
            await asyncio.sleep(_LOOK_EVERY_S)
            chosen = await self._first_busy(order)
        if chosen is None:
            return
        self._paused, process = chosen
        try:
            if _signalled(process, signal.SIGSTOP):
                self.pauses += 1
                await asyncio.sleep(_PAUSE.total_seconds())
                with suppress(TimeoutError):
                    async with asyncio.timeout((_LONGEST_PAUSE - _PAUSE).total_seconds()):
                        await self._taken_over(process.pid)
        finally:
            _signalled(process, signal.SIGCONT)
            self._paused = None

    async def _taken_over(self, pid: int) -> None:
        """Return when others have all its jobs: on a slow machine that takes longer than the lease."""
        busy = await self._busy()
        while not self._is_over and (busy is None or pid in busy):
            await asyncio.sleep(_LOOK_EVERY_S)
            busy = await self._busy()

    async def _first_busy(self, names: Sequence[str]) -> tuple[str, psutil.Process] | None:
        busy = await self._busy() or set[int]()
        for name in names:
            process = self._living(name)
            if process is not None and process.pid in busy:
                return name, process
        return None

    def _order(self, choice: random.Random, names: Sequence[str]) -> list[str]:
        return choice.sample(names, len(names))

    async def _up(self, name: str) -> psutil.Process | None:
        """None while it starts, too: on a slow machine a process would else never come to work."""
        process, state = self._living(name), self._state()
        if process is None:
            return None
        child = state.processes[name]
        if child.metrics is not None:
            is_up = await http_ok(urlsplit(child.metrics).port or 0, "/livez")
        else:
            is_up = await ask(urlsplit(state.redis if name == "redis" else state.nats).port or 0, b"PING\r\n")
        return process if is_up else None

    def _living(self, name: str) -> psutil.Process | None:
        """None while it is being started again."""
        child = self._state().processes.get(name)
        process = find(child) if child else None
        try:
            return process if process and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None


def _signalled(process: psutil.Process, number: signal.Signals) -> bool:
    """Whether it was there to be signalled; psutil never signals another one that has its pid by now."""
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return False
    return True
