"""How fast one worker process works off a backlog: status, result, attempts, leases and retry are on."""

import asyncio
import os
import signal
import sys
from dataclasses import dataclass
from typing import Any

from bench.lab import HANDLER, handlers, parcel
from shared.bus import Bus, BusName
from shared.bus.redis_streams import connect
from shared.contracts import Envelope, wrap
from shared.jobs import JobReader
from shared.service import Service
from shared.settings import Secret, Settings
from shared.telemetry import Metrics, Tracing

LIMIT_S = 120.0


@dataclass(frozen=True)
class Drain:
    """One measurement."""

    bus: BusName
    jobs: int
    took_s: float
    published_s: float

    @property
    def jobs_per_s(self) -> float:
        """From the start of the first job to the end of the last, as the jobs themselves tell."""
        return self.jobs / self.took_s


async def drain(bus: BusName, jobs: int, *, redis_url: str, nats_url: str) -> Drain:
    """Preload the jobs, start one worker, wait for the last."""
    settings = Settings(
        redis_url=Secret(redis_url), nats_url=Secret(nats_url), bus_routes=f"*={bus}", log_level="warning"
    )
    await _make_groups(settings)
    envelopes = [wrap(parcel(n), source="/bench") for n in range(jobs)]
    began = asyncio.get_running_loop().time()
    async with Bus.open(settings, tracing=Tracing(), metrics=Metrics(service="bench", version="0")) as door:
        published = await door.publish(envelopes)
    published_s = asyncio.get_running_loop().time() - began
    if len(published) != jobs:
        raise RuntimeError(f"{jobs - len(published)} of {jobs} events were not published")
    worker = await _start_worker(settings)
    redis = connect(settings.redis_url)
    try:
        took_s = await _last_finished(redis, envelopes)
    finally:
        worker.send_signal(signal.SIGTERM)
        await asyncio.wait_for(worker.wait(), timeout=30)
        await redis.aclose()
    return Drain(bus, jobs, took_s, published_s)


async def _make_groups(settings: Settings) -> None:
    """A consumer must exist before what is published for it."""
    service = Service("bench", handlers, settings)
    await service.start()
    await service.stop()


async def _start_worker(settings: Settings) -> asyncio.subprocess.Process:
    environment = {
        **os.environ,
        "REDIS_URL": settings.redis_url.get_secret_value(),
        "NATS_URL": settings.nats_url.get_secret_value(),
        "BUS_ROUTES": settings.bus_routes,
        "LOG_LEVEL": settings.log_level,
    }
    return await asyncio.create_subprocess_exec(sys.executable, "-m", "bench.worker", env=environment)


async def _last_finished(redis: Any, envelopes: list[Envelope]) -> float:
    """Seconds between the first start and the last end, once every job has succeeded."""
    reader = JobReader(redis)
    ids = [f"{HANDLER}:{envelope.id}" for envelope in envelopes]
    async with asyncio.timeout(LIMIT_S):
        while True:
            (last,) = await reader.get(ids[-1:])
            if last is not None and last.state == "succeeded":
                records = [record for record in await reader.get(ids) if record is not None]
                starts = [record.started_at for record in records if record.started_at]
                ends = [record.finished_at for record in records if record.finished_at]
                if len(ends) == len(ids):
                    return (max(ends) - min(starts)).total_seconds()
            await asyncio.sleep(0.05)
