"""Workers are stopped and started one after another under load, and nobody notices."""

import asyncio
import io
import os
import signal
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from launcher.data_folder import DataFolder
from launcher.drill.command import MIGRATIONS
from launcher.drill.evidence import HANDLER, Evidence
from launcher.drill.feed import Asked
from launcher.drill.options import DrillOptions, plan_of
from launcher.logs import Terminal
from launcher.probes import http_ok
from launcher.servers.postgres_home import forget_home
from launcher.system import System
from shared.bus.redis_streams import connect
from shared.contracts import BATCH_TYPE, new_id
from shared.db import DatabaseUrl, migrate
from shared.jobs import JobReader, JobRecord
from shared.settings import Secret
from tests.until import until

GRACE_S = 10.0  # as plan_of says
ROUNDS = 2
BATCH = 5
EVERY_S = 0.05


@dataclass
class Load:
    """Posts jobs of 50 ms, a hundred a second, and repeats nothing."""

    gateway: httpx.AsyncClient
    events: list[Asked] = field(default_factory=list[Asked])
    answers: Counter[str] = field(default_factory=Counter[str])
    is_over: bool = False

    async def run(self) -> None:
        while not self.is_over:
            batch = [Asked(len(self.events) + n, new_id()) for n in range(BATCH)]
            self.events += batch
            try:
                answer = await self.gateway.post(
                    "/v1/events",
                    json=[asked.to_json() for asked in batch],
                    headers={"Content-Type": BATCH_TYPE},
                )
            except httpx.TransportError as error:
                self.answers[repr(error)] += 1
            else:
                self.answers[str(answer.status_code)] += 1
            await asyncio.sleep(EVERY_S)


@asynccontextmanager
async def running(options: DrillOptions, data: Path, said: io.StringIO) -> AsyncGenerator[System]:
    folder = DataFolder.open(data)
    system = System(plan_of(options, folder, os.environ), Terminal(said, quiet=True))
    try:
        with folder.claim():
            try:
                await migrate(DatabaseUrl((await system.start()).postgres), MIGRATIONS)
                yield system
            finally:
                await system.stop()
    finally:
        forget_home(data / "postgres")


async def restart(system: System, worker: str) -> None:
    """Stop it as an update would, and wait until it takes jobs again."""
    before = system.state().processes[worker]
    os.kill(before.pid, signal.SIGTERM)

    async def is_back() -> bool:
        now = system.state().processes[worker]
        port = httpx.URL(now.metrics or "").port or 0
        return now.restarts > before.restarts and now.pid != before.pid and await http_ok(port, "/readyz")

    async def has_ended() -> bool:
        return system.state().processes[worker].restarts > before.restarts

    await until(has_ended, within=GRACE_S, what=f"{worker} ended within its grace period")
    await until(is_back, within=30, what=f"{worker} takes jobs again")


@pytest.mark.timeout(300)  # a machine that does other things, too, takes its time
@pytest.mark.parametrize("bus", ["redis", "nats"])
async def test_workers_are_restarted_in_turn_under_load_and_no_request_and_no_attempt_fails(
    bus: str, tmp_path: Path
) -> None:
    options, said = DrillOptions(bus="nats" if bus == "nats" else "redis", workers=2), io.StringIO()
    async with AsyncExitStack() as stack:
        system = await stack.enter_async_context(running(options, tmp_path / "data", said))
        state = system.state()
        seen = await stack.enter_async_context(Evidence.of(state, options))
        headers = {"Authorization": f"Bearer {state.api_key}"}
        async with httpx.AsyncClient(base_url=state.gateway or "", headers=headers, timeout=20) as gateway:
            load = Load(gateway)
            posting = asyncio.create_task(load.run())
            for _ in range(ROUNDS):
                for worker in options.pausable:
                    await restart(system, worker)
            load.is_over = True
            await posting

        async def all_final() -> bool:
            return (await seen.jobs(load.events)).final == len(load.events)

        await until(all_final, within=30, what="the end of every job")
        redis = connect(Secret(state.redis))
        jobs = await JobReader(redis).get([f"{HANDLER}:{asked.event_id}" for asked in load.events])
        await redis.aclose()

    assert load.answers.keys() == {"202"}
    assert [blemish(job) for job in jobs if blemish(job)] == []
    exits = [line for line in said.getvalue().splitlines() if "started again" in line]
    assert len(exits) == ROUNDS * options.workers
    assert all("exited with code 0" in line for line in exits), exits


def blemish(job: JobRecord | None) -> str:
    """What a job has to show that was not run once and for all; empty for a good one."""
    if job is None:
        return "a job that is not there"
    is_good = (job.state, job.attempt, job.attempts) == ("succeeded", 1, [])
    return "" if is_good else f"{job.id}: {job.state}, attempt {job.attempt}, {job.attempts}"
