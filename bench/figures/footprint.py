"""What a worker costs while it has nothing to do: memory, CPU, and commands that Redis executes for it."""

import asyncio
import time
from typing import Any

from redis.asyncio import Redis

from bench.result import Measurement
from bench.run import measured
from bench.stage import Stage
from bench.watch import cpu_ns, memory


async def footprint(here: Stage, seconds: float) -> list[Measurement]:
    """Watch the one worker of this stage for so long; it has worked before and is idle now."""
    (worker,) = here.workers
    redis = Redis.from_url(here.servers["redis"].url)
    try:
        await _commands(redis)
        commands, cpu, began = await _commands(redis), cpu_ns(worker.pid), time.monotonic()
        await asyncio.sleep(seconds)  # the length of the measurement
        cpu, took_s = cpu_ns(worker.pid) - cpu, time.monotonic() - began
        commands = await _commands(redis) - commands - 1  # the look itself
    finally:
        await redis.aclose()
    held = await asyncio.to_thread(memory, worker.pid)
    entrant, variant = here.entrant, here.variant
    found = [
        measured(entrant, "rss", held.rss, "MB", variant=variant),
        measured(entrant, "idle_cpu", cpu / 1e7 / took_s, "%", variant=variant),
        measured(entrant, "idle_commands", commands / took_s, "commands/s", variant=variant),
    ]
    if held.pss is not None:
        found.append(measured(entrant, "pss", held.pss, "MB", variant=variant))
    return found


async def _commands(redis: Any) -> int:
    return (await redis.info("stats"))["total_commands_processed"]
