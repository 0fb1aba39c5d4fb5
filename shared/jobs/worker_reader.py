"""The workers that are alive out, each with how many jobs it may hold, how many it holds, and its lease."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from shared.bus.redis_streams import RedisClient, script
from shared.jobs import keys
from shared.jobs.handler_reader import HandlerReader
from shared.jobs.limits import Limits
from shared.jobs.registry import HandlerRecord, Lease, Registry, WorkerRecord


class WorkerStanding(NamedTuple):
    """One worker as it stands now."""

    lease: Lease
    slots: int
    """The most jobs that it runs at a time: the places of all its handlers, by the limits in force."""
    running: int
    """Jobs that it holds now."""


class WorkerReader:
    """Reads what workers announce and the scripts keep; writes nothing."""

    def __init__(self, redis: RedisClient) -> None:
        self._registry = Registry(redis)
        self._limits = HandlerReader(redis)
        self._held = script(redis, "shared.jobs.lua", "held")

    async def all(self) -> list[WorkerStanding]:
        """Every worker that is alive, the one that was heard of last at the end."""
        leases, records = await asyncio.gather(self._registry.leases(), self._registry.handlers())
        names = sorted({name for lease in leases for name in lease.worker.handlers})
        standings, held = await asyncio.gather(
            self._limits.get(names), asyncio.gather(*(self._held_of(name) for name in names))
        )
        limits = {name: one.limits for name, one in zip(names, standings, strict=True)}
        running = sum(held, Counter[str]())
        return [
            WorkerStanding(lease, _slots(lease.worker, records, limits), running[lease.worker.id])
            for lease in leases
        ]

    async def _held_of(self, handler: str) -> Counter[str]:
        """How many jobs of the handler each worker holds."""
        flat = await self._held([keys.running(handler)], [keys.job(handler, "")])
        return Counter({flat[at].decode(): flat[at + 1] for at in range(0, len(flat), 2)})


def _slots(worker: WorkerRecord, records: Mapping[str, HandlerRecord], limits: Mapping[str, Limits]) -> int:
    return sum(_places(name, worker, records.get(name), limits[name]) for name in worker.handlers)


def _places(name: str, worker: WorkerRecord, record: HandlerRecord | None, limits: Limits) -> int:
    """What an operator says, else what the worker itself, else what the last to announce the handler."""
    said = limits.worker_concurrency or worker.places.get(name)
    return said or (record.concurrency if record is not None else 0)
