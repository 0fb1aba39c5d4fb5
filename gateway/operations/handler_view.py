"""Handlers as the REST API shows them: what was registered, the limits in force, and how they stand."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from shared.clock import rfc3339
from shared.jobs import HandlerReader, HandlerRecord, Registry, Standing


class HandlerView:
    """Looks handlers up in Redis; raises what Redis raises when it is away."""

    def __init__(self, registry: Registry, reader: HandlerReader) -> None:
        self._registry = registry
        self._reader = reader

    async def all(self) -> list[dict[str, Any]]:
        """Every registered handler, by name."""
        return await self._shown(list((await self._registry.handlers()).values()))

    async def get(self, name: str) -> dict[str, Any] | None:
        """The handler of this name; None when it never announced itself."""
        record = (await self._registry.handlers()).get(name)
        return (await self._shown([record]))[0] if record is not None else None

    async def _shown(self, records: Sequence[HandlerRecord]) -> list[dict[str, Any]]:
        workers = await self._registry.workers()
        alive = Counter(name for worker in workers for name in worker.handlers)
        standings = await self._reader.get([record.name for record in records])
        return [
            _shown(record, standing, alive[record.name])
            for record, standing in zip(records, standings, strict=True)
        ]


def _shown(record: HandlerRecord, standing: Standing, workers: int) -> dict[str, Any]:
    limits = standing.limits.over(record.limits)
    return {
        "name": record.name,
        "service": record.service,
        "event_type": record.event_type,
        "paused": limits.paused,
        "note": limits.note or None,
        "since": rfc3339(limits.since) if limits.since else None,
        "concurrency": limits.concurrency,
        "worker_concurrency": limits.worker_concurrency,
        "rate": limits.rate,
        "defaults": {
            "concurrency": record.total_concurrency,
            "worker_concurrency": record.concurrency,
            "rate": record.rate,
        },
        "workers": workers,
        "running": standing.running,
        "waiting": standing.waiting,
        "dead": standing.dead,
        "queued": standing.queued,
        "max_attempts": record.max_attempts,
        "time_limit_s": record.time_limit_s,
        "version": record.version,
        "description": record.description,
        "registered_at": record.registered_at,
        "causes": list(record.causes),
    }
