"""Services that start warm: their modules in; processes forked from one that has imported them already, out.

Seven services import nearly the same libraries, a second of processor time for each. A fork has them at once.
Linux only: elsewhere the system's own libraries do not bear fork, and a service is a program of its own.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import psutil

from launcher.errors import StartFailed
from launcher.process import Command, Process, Started, describe_exit
from launcher.warm import WARM, WORD_BYTES, Order

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_NAME = "nursery"
_ANSWER_LIMIT_S = 10
_GRACE = timedelta(seconds=5)
_WARM_LIMIT = timedelta(seconds=60)


class Nursery:
    """A warm process, started by the first who needs it; again, when it has died."""

    def __init__(
        self, modules: Sequence[str], environment: Mapping[str, str], sink: Callable[[str], None]
    ) -> None:
        self._modules = modules
        self._environment = environment
        self._sink = sink
        self._process: Process | None = None
        self._control: socket.socket | None = None
        self._starting = asyncio.Lock()

    async def warm(self) -> None:
        """Return once it can fork; raises StartFailed."""
        async with self._starting:
            if self._process is None or self._process.exit_code is not None:
                await self._start()

    def start(self, command: Command) -> Started:
        """Run `python -m module` as a fork; raises ChildProcessError when there is nobody to fork."""
        ours, theirs = socket.socketpair()
        read, write = os.pipe()
        output = os.fdopen(read, "rb")
        try:
            with theirs:
                self._ask_for_fork(theirs.fileno(), write)
            pid = _pid_from(ours)
            created_at = psutil.Process(pid).create_time()  # it waits for its order, and so is there
            order = Order(command.argv, dict(command.env or os.environ), command.orphan_signal)
            ours.sendall(msgspec.json.encode(order) + b"\n")
        except (OSError, psutil.NoSuchProcess) as error:
            ours.close()
            output.close()
            raise ChildProcessError(f"the {_NAME} did not fork {command.name}: {error}") from error
        finally:
            os.close(write)
        ours.setblocking(False)
        fork = _Fork(pid, ours)
        return Started(pid, created_at, output, fork.poll, fork.send_signal)

    async def stop(self) -> None:
        """End it, after all that it forked; harmless when it never started."""
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            await self._process.stop(_GRACE)

    async def _start(self) -> None:
        if self._control is not None:
            self._control.close()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.setblocking(False)
        argv = (sys.executable, "-P", "-m", "launcher.warm", str(theirs.fileno()), *self._modules)
        with theirs:
            command = Command(_NAME, argv, env=self._environment, descriptors=(theirs.fileno(),))
            self._process = Process.start(command, self._sink)
        try:
            async with asyncio.timeout(_WARM_LIMIT.total_seconds()):
                if not await asyncio.get_running_loop().sock_recv(self._control, len(WARM)):
                    why = describe_exit(await self._process.exited())
                    raise StartFailed(_NAME, why, last_lines=self._process.last_lines())
        except TimeoutError as late:
            await self._process.kill()
            raise StartFailed(_NAME, f"not warm after {_WARM_LIMIT.total_seconds():.0f} s") from late

    def _ask_for_fork(self, channel: int, output: int) -> None:
        if self._control is None:
            raise ChildProcessError("it has not started")
        socket.send_fds(self._control, [b"+"], [channel, output])


class _Fork:
    """What Popen is to a program of its own. The nursery is its parent, and passes its exit code on."""

    def __init__(self, pid: int, channel: socket.socket) -> None:
        self._pid = pid
        self._channel = channel
        self._exit_code: int | None = None

    def poll(self) -> int | None:
        """The exit code; None while it runs."""
        if self._exit_code is None:
            try:
                word = self._channel.recv(WORD_BYTES)
            except BlockingIOError:
                return None
            except OSError:  # reset: it died with words of ours unread
                word = b""
            # A nursery that dies says nothing, and the kernel kills with it what it forked.
            self._exit_code = _number(word) if word else -signal.SIGKILL
            self._channel.close()
        return self._exit_code

    def send_signal(self, number: int) -> None:
        """Signal it, if it still runs."""
        if self.poll() is None:
            try:
                os.kill(self._pid, number)
            except ProcessLookupError:
                return


def _pid_from(channel: socket.socket) -> int:
    channel.settimeout(_ANSWER_LIMIT_S)
    word = channel.recv(WORD_BYTES)
    if not word:
        raise ChildProcessError("there is no memory or no process for it")
    return _number(word)


def _number(word: bytes) -> int:
    return int.from_bytes(word, "big", signed=True)
