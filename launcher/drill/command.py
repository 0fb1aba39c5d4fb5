"""Runs a drill: options in; a report on the terminal and an exit code out."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
import time
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from launcher.data_folder import DataFolder
from launcher.drill.chaos import Chaos
from launcher.drill.evidence import Evidence, fenced
from launcher.drill.feed import Feed
from launcher.drill.invariants import Figures, judge
from launcher.drill.options import GATEWAY, plan_of
from launcher.drill.table import report
from launcher.errors import CommandMissing
from launcher.logs import Terminal
from launcher.servers.postgres_home import forget_home
from launcher.services import installed
from launcher.system import System
from shared.db import DatabaseUrl, migrate

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from launcher.drill.options import DrillOptions
    from launcher.state import State

MIGRATIONS = {"drill": Path(__file__).parent / "migrations"}
_PROGRESS_EVERY_S = 5.0
_LOOK_EVERY_S = 0.5
_STANDSTILL_S = 20.0
"""For how long nothing may change before what is open counts as lost: many leases and all waits together."""
_INTERRUPTED = 130


def drill(options: DrillOptions) -> int:
    """0 when every invariant holds, 1 when one does not, 130 when it was interrupted.

    Raises a LauncherError when it cannot be run to its end.
    """
    if not installed((GATEWAY,)):
        raise CommandMissing("drill", "install Trunkline with its gateway")
    with _folder() as folder:
        try:
            figures = asyncio.run(_drill(options, folder))
        except (KeyboardInterrupt, asyncio.CancelledError):
            _say("interrupted: the drill's system is stopped and removed")
            return _INTERRUPTED
        invariants = judge(figures)
        _say(report(options, figures, invariants))
        if all(one.holds for one in invariants):
            return 0
        _say(f"logs: {_kept_logs(folder)}")
        return 1


async def _drill(options: DrillOptions, folder: DataFolder) -> Figures:
    _stop_on_sigterm()
    work = f"{options.jobs:,} jobs, {options.workers} workers"
    _say(f"drill on {options.bus}: {work}, {options.seconds} s of killing")
    async with _running(options, folder) as (system, state), Evidence.of(state, options) as evidence:
        headers = {"Authorization": f"Bearer {state.api_key}"}
        async with httpx.AsyncClient(base_url=state.gateway or "", headers=headers, timeout=5) as gateway:
            feed = Feed(gateway, options.jobs, over=timedelta(seconds=options.seconds))
            chaos = Chaos(options, system.state, evidence.busy)
            await _under_fire(options, feed, chaos, evidence)
            _say("the killing is over: waiting until every job has come to its end")
            poisoned = await _settled(feed, evidence)
        done = await _figures(system.state(), evidence, feed, chaos)
        return replace(done, poisoned=poisoned, fenced=fenced(folder.logs()))


@asynccontextmanager
async def _running(options: DrillOptions, folder: DataFolder) -> AsyncGenerator[tuple[System, State]]:
    """The drill's own system, with its tables."""
    with (folder.logs() / "launcher.log").open("w") as log, folder.claim():
        system = System(plan_of(options, folder, os.environ), Terminal(log, quiet=True))
        try:
            state = await system.start()
            await migrate(DatabaseUrl(state.postgres), MIGRATIONS)
            yield system, state
        finally:
            await system.stop()


async def _under_fire(options: DrillOptions, feed: Feed, chaos: Chaos, evidence: Evidence) -> None:
    """Feed while processes are killed; returns when the time is over and every event was accepted."""
    feeding = asyncio.create_task(feed.run())
    killing = asyncio.create_task(chaos.run(options.seconds))
    telling = asyncio.create_task(_tell(feed, chaos, evidence))
    try:
        await asyncio.gather(feeding, killing)
    finally:
        for task in (feeding, killing, telling):
            task.cancel()
        await asyncio.wait({feeding, killing, telling})


async def _tell(feed: Feed, chaos: Chaos, evidence: Evidence) -> None:
    started = time.monotonic()
    while True:
        await asyncio.sleep(_PROGRESS_EVERY_S)
        passed_s, written = time.monotonic() - started, await evidence.written()
        work = f"{feed.accepted:7,} accepted  {written:7,} done"
        _say(f"{passed_s:5.0f} s  {work}  {sum(chaos.kills.values()):4} kills  {chaos.pauses:3} pauses")


async def _settled(feed: Feed, evidence: Evidence) -> int:
    """Return when all is done, or nothing moves any more; how many jobs of poison were run again.

    A job that was in hand when its worker was killed, three times, is buried as poison: the rule cannot know
    that it was us. It is run again, as an operator would.
    """
    poisoned, before, moved_at = set[str](), object(), time.monotonic()
    while time.monotonic() - moved_at < _STANDSTILL_S:
        jobs, left = await evidence.jobs(feed.events), await evidence.left()
        for job_id in jobs.poisoned:
            await feed.retry(job_id)
        poisoned.update(jobs.poisoned)
        if jobs.final == len(feed.events) and left.is_settled and not jobs.poisoned:
            break
        now = (jobs.states, left)
        if now != before:
            before, moved_at = now, time.monotonic()
        await asyncio.sleep(_LOOK_EVERY_S)
    return len(poisoned)


async def _figures(state: State, evidence: Evidence, feed: Feed, chaos: Chaos) -> Figures:
    jobs, effects = await evidence.jobs(feed.events), await evidence.effects()
    return Figures(
        jobs=len(feed.events),
        accepted=feed.accepted,
        in_ledger=await evidence.in_ledger(state),
        states=jobs.states,
        final=jobs.final,
        effects=effects.written,
        effective_jobs=effects.jobs,
        left=await evidence.left(),
        kills=chaos.kills,
        pauses=chaos.pauses,
        restarts=sum(process.restarts for process in state.processes.values()),
        repeated=feed.repeated,
        span=effects.span,
        longest_gap=effects.longest_gap,
    )


@contextmanager
def _folder() -> Generator[DataFolder]:
    """A temporary data folder, removed in any case with all that lies outside of it."""
    path = Path(tempfile.mkdtemp(prefix="trunkline-drill-"))
    try:
        yield DataFolder.open(path)
    finally:
        forget_home(path / "postgres")
        shutil.rmtree(path, ignore_errors=True)


def _kept_logs(folder: DataFolder) -> Path:
    kept = Path(tempfile.mkdtemp(prefix="trunkline-drill-logs-"))
    shutil.copytree(folder.logs(), kept, dirs_exist_ok=True)
    return kept


def _stop_on_sigterm() -> None:
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
