"""What all servers have in common: a data folder and a port in, start(), stop(), kill() and `url` out."""

from __future__ import annotations

import asyncio
import shutil
from abc import ABC, abstractmethod
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from launcher.errors import StartFailed
from launcher.ports import free_port, holder_of, is_free
from launcher.process import Process, ignore_line, until_ready

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from launcher.process import Command

START_LIMIT = timedelta(seconds=60)
"""Room for a long log that is replayed after a crash; a start takes well under a second else."""

STOP_GRACE = timedelta(seconds=20)


class Server(ABC):
    """A real server on 127.0.0.1; without a port it takes a free one and keeps it.

    With `durable` (the default) what it acknowledged survives a power cut; without, only its own death, and
    it is quicker. start() after stop() or kill() continues on the same port with the same data.

    The launcher's supervisor takes command() and answers() and runs the process itself; start(), stop() and
    kill() are for those who want just the server.
    """

    name: str

    def __init__(self, data: Path, port: int | None = None, *, durable: bool = True) -> None:
        self.data = data.absolute()
        self.port = port or free_port()
        self.durable = durable
        self.process: Process | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """Where clients find it."""

    @abstractmethod
    async def command(self) -> Command:
        """Prepare the data folder where needed (idempotent) and say what to run."""

    @abstractmethod
    async def answers(self) -> bool:
        """Whether it serves now."""

    async def start(self, *, limit: timedelta = START_LIMIT) -> None:
        """Start it and wait until it serves; raises StartFailed with its last lines."""
        command = await self.command()
        if not is_free(self.port):  # else another server's answer would be taken for this one's
            raise StartFailed(
                self.name, f"port {self.port} is taken by {holder_of(self.port) or 'a program'}"
            )
        self.process = Process.start(command, ignore_line)
        try:
            await until_ready(self.process, self.answers, limit)
        except ChildProcessError as died:
            raise StartFailed(self.name, str(died), last_lines=self.process.last_lines()) from died
        except TimeoutError as late:
            await self.process.kill()
            why = f"not ready after {limit.total_seconds():.0f} s"
            raise StartFailed(self.name, why, last_lines=self.process.last_lines()) from late

    async def stop(self) -> None:
        """Shut it down in order; harmless when it does not run."""
        if self.process is not None:
            await self.process.stop(STOP_GRACE)

    async def kill(self) -> None:
        """SIGKILL it and its children; returns when they are gone."""
        if self.process is not None:
            await self.process.kill()

    async def delete(self) -> None:
        """Stop it and remove its data, also where they lie outside the data folder."""
        await self.stop()
        await asyncio.to_thread(shutil.rmtree, self.data, ignore_errors=True)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
