"""One child process as its parent sees it: started, given jobs, cancelled, stopped, killed.

The parent only waits for its socket. Whatever the child does, each wait has a limit, and SIGKILL behind it.
"""

import asyncio
import os
import signal
import socket
import sys
from contextlib import suppress
from datetime import timedelta

from shared.bus.redis_streams import UNAVAILABLE
from shared.errors import TrunklineError
from shared.jobs.frames import (
    BadFrame,
    Begun,
    Cancel,
    Ended,
    FromChild,
    Hello,
    Progress,
    Ready,
    Refused,
    Run,
    Stop,
    ToChild,
    encode,
    read_from_child,
)
from shared.jobs.job import TellProgress
from shared.jobs.outcomes import HardTimeLimitExceeded, ProcessDied
from shared.jobs.verdict import Outcome

_START_LIMIT_S = 60.0
_CANCEL_LIMIT_S = 1.0
_STOP_LIMIT_S = 4.0
_DEATH_LIMIT_S = 2.0


class CannotRun(TrunklineError):
    """The child says that it cannot run its handler: an import failed, or what the handler asks for."""


class ChildProcess:
    """A child that is ready for a job, or works on one."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self.is_idle = True
        self.has_begun = False
        """Whether the child said that it works on its latest job."""
        self.is_last = False
        """Whether the child asked to get no more jobs."""
        self.jobs = 0
        """How many it has ended."""

    @classmethod
    async def start(cls, hello: Hello) -> "ChildProcess":
        """A child that is ready; CannotRun or ProcessDied when it is not within a minute."""
        ours, theirs = socket.socketpair()
        with theirs:
            reader, writer = await asyncio.open_unix_connection(sock=ours)
            descriptor = theirs.fileno()
            try:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    "shared.jobs.child",
                    str(descriptor),
                    hello.origin.handler,
                    stdin=asyncio.subprocess.DEVNULL,
                    pass_fds=(descriptor,),
                    # Away from the terminal, whose Ctrl-C is for the service, and a group to kill as one.
                    start_new_session=True,
                )
            except OSError as error:
                writer.close()
                raise ProcessDied(f"no child process could be started: {error}") from error
        child = cls(process, reader, writer)
        try:
            async with asyncio.timeout(_START_LIMIT_S):
                child._write(hello)
                await child._becomes_ready()
        except BaseException as error:
            child.kill()
            if isinstance(error, TimeoutError):
                raise ProcessDied(f"the child process was not ready within {_START_LIMIT_S:g} s") from error
            raise
        return child

    @property
    def pid(self) -> int:
        """Its process id, which is that of its process group, too."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it was there when we last heard of it."""
        return self._process.returncode is None and not self._reader.at_eof()

    async def run(self, run: Run, *, hard_limit: timedelta, tell: TellProgress) -> Outcome:
        """The outcome of the job; when this raises and the child is not idle afterwards, it is to be killed.

        Raises HardTimeLimitExceeded, ProcessDied. Cancelled, it tells the child and waits for a second: the
        handler may end as if nothing had happened, which then is the outcome.
        """
        self.is_idle = self.has_begun = False
        self._write(run)
        # A task of its own: a frame that was read by half, by who was cancelled, would be lost.
        ending = asyncio.create_task(self._ending(tell))
        hard = asyncio.timeout(hard_limit.total_seconds())
        try:
            async with hard:
                ended = await asyncio.shield(ending)
        except TimeoutError:
            if not hard.expired():
                raise
            ending.cancel()
            await self._put_down()
            raise HardTimeLimitExceeded(hard_limit) from None
        except asyncio.CancelledError:
            self._write(Cancel())
            await asyncio.wait([ending], timeout=_CANCEL_LIMIT_S)
            if not ending.done():
                ending.cancel()
                await self._put_down()
                raise
            if ending.exception() is not None or ending.result().is_cancelled:
                raise
            ended = ending.result()
        finally:
            ending.cancel()
        return ended.outcome()

    async def stop(self) -> None:
        """Let an idle child close what it opened, and end it; kill any other."""
        if self.is_alive and self.is_idle:
            self._write(Stop())
            await self._is_gone(within_s=_STOP_LIMIT_S)
        await self._put_down()

    def kill(self) -> None:
        """End it at once, and what its handler started."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        self._writer.close()

    async def _put_down(self) -> None:
        """Kill it and see it gone: what comes after it shall not run beside it."""
        self.kill()
        await self._is_gone(within_s=_DEATH_LIMIT_S)

    async def _becomes_ready(self) -> None:
        message = await self._read()
        if isinstance(message, Refused):
            raise CannotRun(message.why)
        if not isinstance(message, Ready):
            raise ProcessDied(f"the child process began with {type(message).__name__}")

    async def _ending(self, tell: TellProgress) -> Ended:
        while True:
            message = await self._read()
            if isinstance(message, Ended):
                self.is_idle, self.is_last = True, message.is_last
                self.jobs += 1
                return message
            if isinstance(message, Begun):
                self.has_begun = True
            elif isinstance(message, Progress):
                with suppress(*UNAVAILABLE):  # the next one may be told again
                    await tell(message.done, message.total, message.note)

    async def _read(self) -> FromChild:
        try:
            message = await read_from_child(self._reader)
        except BadFrame as error:
            raise ProcessDied(f"the child process was killed, for {error}") from error
        if message is None:
            raise ProcessDied(await self._how_it_ended())
        return message

    async def _how_it_ended(self) -> str:
        if not await self._is_gone(within_s=_DEATH_LIMIT_S):
            return "the child process closed the line to its service, and was killed"
        code = self._process.returncode or 0
        if code >= 0:
            return f"the child process ended with exit code {code}"
        hint = ": was it out of memory?" if code == -signal.SIGKILL else ""
        return f"the child process was killed by {signal.Signals(-code).name}{hint}"

    async def _is_gone(self, *, within_s: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._process.wait()
        return self._process.returncode is not None

    def _write(self, message: ToChild) -> None:
        self._writer.write(encode(message))
