"""One child process: a Command in, its lines to a sink, its exit code out; it never outlives the launcher."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Self, cast

import psutil

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path
    from typing import IO

_POLL_S = 0.02
_LONGEST_LINE_BYTES = 65_536
_KEPT_LINES = 20
_KILL_LIMIT = timedelta(seconds=10)


@dataclass(frozen=True)
class Account:
    """A user of the machine that a child runs as."""

    uid: int
    gid: int


@dataclass(frozen=True)
class Started:
    """A child that runs: its output, how to ask for its exit code, how to signal it."""

    pid: int
    created_at: float
    output: IO[bytes]
    poll: Callable[[], int | None]
    send_signal: Callable[[int], None]


def execute(command: Command) -> Started:
    """Start the command as a program of its own."""
    account = command.account
    popen = subprocess.Popen(  # noqa: S603 - the command is ours
        command.argv,
        env=command.env,
        cwd=command.cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=tether(command.orphan_signal),  # noqa: PLW1509 - two system calls, no lock, no import
        pass_fds=command.descriptors,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=() if account else None,
    )
    created_at = psutil.Process(popen.pid).create_time()
    return Started(popen.pid, created_at, cast("IO[bytes]", popen.stdout), popen.poll, popen.send_signal)


@dataclass(frozen=True)
class Command:
    """What to run; `env` None means ours, `account` None means our own user."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] | None = None
    cwd: Path | None = None
    account: Account | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    orphan_signal: signal.Signals = signal.SIGKILL
    """What the kernel sends when the launcher dies without stopping its children."""
    descriptors: tuple[int, ...] = ()
    """Open files that it is given, besides its output."""
    start: Callable[[Command], Started] = execute


class Process:
    """A started child in a session of its own, so that Ctrl-C reaches the launcher alone.

    Bound to no event loop: a thread drains the output and waits poll, so that a server started in one loop (a
    session's fixture) can be killed from another (a test).

    On Linux the kernel ends it with the *thread* that started it: start it from one that lives long enough.
    """

    def __init__(self, command: Command, started: Started, sink: Callable[[str], None]) -> None:
        self.command = command
        self._started = started
        self._tail: deque[str] = deque(maxlen=_KEPT_LINES)
        self._reader = threading.Thread(target=self._drain, args=(sink,), name=command.name, daemon=True)
        self._reader.start()

    @classmethod
    def start(cls, command: Command, sink: Callable[[str], None]) -> Self:
        """Run the command; the sink gets each line from a thread of ours."""
        return cls(command, command.start(command), sink)

    @property
    def pid(self) -> int:
        """The child's process id; also the id of its group."""
        return self._started.pid

    @property
    def created_at(self) -> float:
        """When it was created, in Unix time."""
        return self._started.created_at

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative is the signal that ended it."""
        return self._started.poll()

    def last_lines(self) -> tuple[str, ...]:
        """What it printed last."""
        if self.exit_code is not None:
            self._reader.join(timeout=0.2)
        return tuple(self._tail)

    async def exited(self) -> int:
        """Wait for the exit code, then end what the child left in its group. The caller sets the limit."""
        # Polled: a child watcher belongs to one event loop, and 50 cheap calls a second are nothing.
        while (code := self.exit_code) is None:  # noqa: ASYNC110 - the reason is above
            await asyncio.sleep(_POLL_S)
        _signal_group(self.pid, signal.SIGKILL)
        return code

    async def stop(self, grace: timedelta) -> int:
        """Ask it to stop, wait for the grace period, then kill it; harmless when it has exited."""
        if self.exit_code is None:
            self._started.send_signal(self.command.stop_signal)
        try:
            async with asyncio.timeout(grace.total_seconds()):
                return await self.exited()
        except TimeoutError:
            return await self.kill()

    async def kill(self) -> int:
        """SIGKILL it and all its descendants, as a machine that loses power; returns when they are gone."""
        family = _descendants(self.pid)
        self.kill_now()
        for process in family:
            _kill(process)
        async with asyncio.timeout(_KILL_LIMIT.total_seconds()):
            while any(_is_alive(process) for process in family):  # noqa: ASYNC110 - no event for strangers
                await asyncio.sleep(_POLL_S)
            return await self.exited()

    def kill_now(self) -> None:
        """SIGKILL its group and do not wait."""
        if self.exit_code is None:
            _signal_group(self.pid, signal.SIGKILL)

    def _drain(self, sink: Callable[[str], None]) -> None:
        output = self._started.output
        with output:
            for raw in iter(lambda: output.readline(_LONGEST_LINE_BYTES), b""):
                line = raw.decode(errors="replace").rstrip("\r\n")
                self._tail.append(line)
                try:
                    sink(line)
                except OSError:
                    continue  # a full disk or a closed terminal must not block the child on its own output


async def until_ready(process: Process, is_ready: Callable[[], Awaitable[bool]], limit: timedelta) -> None:
    """Return once it is ready; raise TimeoutError after the limit, ChildProcessError when it exits first."""
    async with asyncio.timeout(limit.total_seconds()):
        while not await is_ready():
            if process.exit_code is not None:
                raise ChildProcessError(describe_exit(process.exit_code))
            await asyncio.sleep(_POLL_S)


def describe_exit(code: int) -> str:
    """An exit code in words: "exited with code 1", "ended by SIGKILL"."""
    if code >= 0:
        return f"exited with code {code}"
    return f"ended by {signal.Signals(-code).name}"


def tether(orphan_signal: signal.Signals) -> Callable[[], None] | None:
    """What runs in the child before its program: ask the kernel to end it when the launcher dies.

    Linux only; elsewhere the next `up` on the folder finds the orphans. It must run in the child itself, and
    after the change of user, which would clear it (prctl(2), PR_SET_PDEATHSIG).
    """
    if sys.platform != "linux":
        return None
    pr_set_pdeathsig = 1
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()
    number = int(orphan_signal)

    def die_with_parent() -> None:
        prctl(pr_set_pdeathsig, number)
        if os.getppid() != parent:  # it died between fork and prctl
            os._exit(1)

    return die_with_parent


def _descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return


def _signal_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return  # nobody left; macOS says EPERM for a group of zombies


def ignore_line(_line: str) -> None:
    """A sink for those who only want the last lines."""
