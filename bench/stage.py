"""Fresh servers and workers for one run: an entrant and what is preloaded in, a place to measure out."""

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from bench import tally
from bench.entrants import ROOT, Entrant
from launcher.process import Command, Process, ignore_line
from launcher.servers import NatsServer, RedisServer, Server

Placement = Literal["free", "apart", "together"]
"""Where processes run: anywhere; workers on the first core and servers on the second; all on the first."""

_GRACE = timedelta(seconds=8)
_PATIENCE = timedelta(seconds=2)
_START_LIMIT_S = 30.0
_POLL_S = 0.01


@dataclass
class Stage:
    """Servers that run, and the workers that were started on them."""

    entrant: Entrant
    variant: str
    folder: Path
    servers: dict[str, Server]
    placement: Placement
    workers: list[Process] = field(default_factory=list)

    @property
    def urls(self) -> dict[str, str]:
        """Where the servers are, and where the workers tally."""
        urls = {f"{name.upper()}_URL": server.url for name, server in self.servers.items()}
        return {**urls, tally.FOLDER: str(self.tallies)}

    @property
    def tallies(self) -> Path:
        """The folder of the workers' tallies."""
        return self.folder / "tally"

    async def ask(self, *words: str) -> dict[str, Any]:
        """One verb of the entrant's command line, on these servers."""
        return await self.entrant.ask(*words, environment=self._environment())

    def start_workers(self, count: int, concurrency: int) -> None:
        """Start worker processes; they need not be ready when this returns."""
        argv = tuple(self.entrant.workers[self.variant][str(concurrency)])
        for number in range(1, count + 1):
            command = Command(f"{self.entrant.name}.{number}", argv, env=self._environment(), cwd=ROOT)
            with _on(_workers_cores(self.placement)):
                self.workers.append(Process.start(command, ignore_line))

    async def stop_workers(self, grace: timedelta = _GRACE) -> None:
        """SIGTERM, and SIGKILL for those that do not listen."""
        await asyncio.gather(*(worker.stop(grace) for worker in self.workers))
        self.workers.clear()

    async def until(self, is_so: Callable[[], bool], *, what: str, within_s: float = _START_LIMIT_S) -> None:
        """Wait until it is so; RuntimeError when it does not come to that, or a worker ends."""
        ends_at = time.monotonic() + within_s
        while not is_so():
            for worker in self.workers:
                if worker.exit_code is not None:
                    said = " / ".join(worker.last_lines()[-3:])
                    raise RuntimeError(f"its worker exited with {worker.exit_code}: {said}")
            if time.monotonic() > ends_at:
                said = " / ".join(line for worker in self.workers for line in worker.last_lines()[-3:])
                raise RuntimeError(f"no {what} within {within_s:.0f} s; its worker said: {said or 'nothing'}")
            await asyncio.sleep(_POLL_S)

    def _environment(self) -> Mapping[str, str]:
        return self.entrant.environment(self.urls, self.variant)


@asynccontextmanager
async def stage(
    entrant: Entrant,
    variant: str = "",
    *,
    preloaded: Path | None = None,
    placement: Placement = "free",
) -> AsyncGenerator[Stage]:
    """Servers with the settings that all have, empty or with a copy of what is preloaded."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        if preloaded is not None:
            await asyncio.to_thread(shutil.copytree, preloaded, folder, dirs_exist_ok=True)
        (folder / "tally").mkdir()
        servers = servers_of(entrant, folder)
        with _on(_servers_cores(placement)):
            # The first step of each start() runs here and now, and a child keeps the cores of its parent.
            for server in servers.values():
                stack.push_async_callback(server.kill)
            await asyncio.gather(*(server.start() for server in servers.values()))
        here = Stage(entrant, variant, folder, servers, placement)
        # Not killed at once: a parent that reaps its children tells what CPU they used.
        stack.push_async_callback(here.stop_workers, _PATIENCE)
        yield here


def servers_of(entrant: Entrant, folder: Path) -> dict[str, Server]:
    """Redis with an append-only file and an fsync a second, as the peers recommend; NATS where needed."""
    servers: dict[str, Server] = {"redis": RedisServer(folder / "redis", durable=False)}
    if entrant.bus == "nats":
        servers["nats"] = NatsServer(folder / "nats", durable=False)
    return servers


class Preloads:
    """Jobs are enqueued once for each entrant and task; every run gets a copy of the servers' folders."""

    def __init__(self, folder: Path, *, jobs: int, limit_s: float) -> None:
        self._folder = folder
        self._jobs = jobs
        self._limit_s = limit_s
        self._made: dict[tuple[str, str], tuple[Path, int]] = {}

    async def of(self, entrant: Entrant, task: str) -> tuple[Path, int]:
        """The folder to copy, and how many jobs are in it."""
        key = entrant.name, task
        if key not in self._made:
            folder = self._folder / "-".join(key)
            jobs = self._jobs * (entrant.jobs_factor if task == "noop" else 1)
            async with AsyncExitStack() as stack:
                servers = servers_of(entrant, folder)
                for server in servers.values():
                    stack.push_async_callback(server.stop)
                await asyncio.gather(*(server.start() for server in servers.values()))
                urls = {f"{name.upper()}_URL": server.url for name, server in servers.items()}
                said = await entrant.ask(
                    *("preload", "--jobs", str(jobs), "--task", task),
                    *("--limit-s", str(self._limit_s)),
                    environment=entrant.environment(urls),
                )
            self._made[key] = folder, int(said["jobs"])
        return self._made[key]


def _workers_cores(placement: Placement) -> set[int] | None:
    return None if placement == "free" else {min(_cores())}


def _servers_cores(placement: Placement) -> set[int] | None:
    if placement == "free":
        return None
    return {min(_cores())} if placement == "together" else set(sorted(_cores())[1:2])


def _cores() -> set[int]:
    return os.sched_getaffinity(0)


class _on:  # noqa: N801 - reads as what it does: with _on(cores)
    """Children that are started within run on these cores; None: on any."""

    def __init__(self, cores: set[int] | None) -> None:
        self._cores = cores
        self._before = _cores() if cores else None

    def __enter__(self) -> None:
        if self._cores:
            os.sched_setaffinity(0, self._cores)

    def __exit__(self, *_: object) -> None:
        if self._before:
            os.sched_setaffinity(0, self._before)
