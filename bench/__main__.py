"""`python -m bench`: the figures of this machine as a table, medians of interleaved rounds."""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
from pathlib import Path

import uvloop

from bench.door import Door, measure_doors
from bench.drain import Drain, drain
from launcher.servers import NatsServer, RedisServer
from shared.bus import BusName

BUSES: tuple[BusName, ...] = ("redis", "nats")


async def _drains(jobs: int, rounds: int) -> list[Drain]:
    found: list[Drain] = []
    for _ in range(rounds):
        for bus in BUSES:
            with tempfile.TemporaryDirectory() as folder:
                redis, nats = RedisServer(Path(folder, "redis")), NatsServer(Path(folder, "nats"))
                await asyncio.gather(redis.start(), nats.start())
                try:
                    found.append(await drain(bus, jobs, redis_url=redis.url, nats_url=nats.url))
                finally:
                    await asyncio.gather(redis.delete(), nats.delete())
    return found


def _table(drains: list[Drain], doors: list[Door]) -> str:
    lines = ["| figure | median | least | most |", "|---|---|---|---|"]
    for bus in BUSES:
        rates = [one.jobs_per_s for one in drains if one.bus == bus]
        if rates:
            lines.append(_line(f"jobs/s, one process, no-op handler, {bus}", rates))
    rates_of: dict[str, list[float]] = {}
    for door in doors:
        rates_of.setdefault(door.name, []).append(door.requests_per_s)
    lines += [_line(f"requests/s at 64 connections, {name}", rates) for name, rates in rates_of.items()]
    return "\n".join(lines)


def _line(name: str, rates: list[float]) -> str:
    return f"| {name} | {statistics.median(rates):,.0f} | {min(rates):,.0f} | {max(rates):,.0f} |"


async def _main(jobs: int, seconds: float, rounds: int, only: str | None) -> None:
    drains = await _drains(jobs, rounds) if only != "door" else []
    doors = await measure_doors(seconds, rounds) if only != "drain" else []
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    sys.stdout.write(f"{os.cpu_count()} cores, load {load}, {rounds} rounds\n\n{_table(drains, doors)}\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("--only", choices=["drain", "door"])
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    uvloop.run(_main(chosen.jobs, chosen.seconds, chosen.rounds, chosen.only))
