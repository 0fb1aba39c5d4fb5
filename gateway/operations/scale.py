"""A service in, how much work there is for its workers out: what an autoscaler needs to know."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from gateway.operations.backlogs import Backlogs, HandlerBacklog
from shared.jobs import HandlerReader, HandlerRecord, Registry, Standing, WorkerRecord

_SUMMED: Final = ("lag", "pending", "backlog", "running", "waiting", "due", "dead")
_AGES: Final = ("oldest_age_s", "unread_age_s")
_RATES: Final = ("started_per_s", "ended_per_s")
NATS_AWAY: Final = "NATS does not answer: what lies there for this service is not known"


class Scale:
    """Measures services. Raises what Redis raises when it is away: nothing can be said then."""

    def __init__(self, registry: Registry, reader: HandlerReader, backlogs: Backlogs) -> None:
        self._registry = registry
        self._reader = reader
        self._backlogs = backlogs

    async def every_handler(self) -> list[dict[str, Any]]:
        """Each registered handler, measured as in `of`."""
        records = list((await self._registry.handlers()).values())
        return await self._measured(records, await self._registry.workers())

    async def every_service(self) -> list[dict[str, Any]]:
        """Each service of which a handler ever announced itself, by name, as in `of`."""
        return await self._services(list((await self._registry.handlers()).values()))

    async def of(self, service: str) -> dict[str, Any] | None:
        """The service and its handlers; None when none of its handlers ever announced itself."""
        records = [one for one in (await self._registry.handlers()).values() if one.service == service]
        return next(iter(await self._services(records)), None)

    async def _services(self, records: Sequence[HandlerRecord]) -> list[dict[str, Any]]:
        if not records:
            return []
        workers = await self._registry.workers()
        of_service: dict[str, list[dict[str, Any]]] = {}
        for record, measured in zip(records, await self._measured(records, workers), strict=True):
            of_service.setdefault(record.service, []).append(measured)
        alive = Counter(worker.service for worker in workers)
        return [_service(name, of_service[name], alive[name]) for name in sorted(of_service)]

    async def _measured(
        self, records: Sequence[HandlerRecord], workers: Sequence[WorkerRecord]
    ) -> list[dict[str, Any]]:
        standings = await self._reader.get([record.name for record in records])
        backlogs = await self._backlogs.of(records)
        alive = Counter(name for worker in workers for name in worker.handlers)
        return [_measured(*one, alive[one[0].name]) for one in zip(records, standings, backlogs, strict=True)]


def _service(name: str, measured: Sequence[dict[str, Any]], workers: int) -> dict[str, Any]:
    is_whole = all(one["lag"] is not None for one in measured)
    return {
        "service": name,
        "workers": workers,
        **_sum(measured),
        "reason": None if is_whole else NATS_AWAY,
        "handlers": measured,
    }


def _measured(
    record: HandlerRecord, standing: Standing, backlogs: HandlerBacklog, workers: int
) -> dict[str, Any]:
    backlog, limits = backlogs.all, standing.limits
    return {
        "name": record.name,
        "paused": limits.paused,
        "workers": workers,
        "backlog": _backlog(standing, backlogs),
        "lag": backlog.lag if backlog else None,
        "pending": backlog.pending if backlog else None,
        "oldest_age_s": _age_s(backlog.oldest_at) if backlog else None,
        "unread_age_s": _age_s(backlog.unread_at) if backlog else None,
        "running": standing.running,
        "waiting": standing.waiting,
        "due": standing.due,
        "dead": standing.dead,
        "started_per_s": standing.started_per_s,
        "ended_per_s": standing.ended_per_s,
    }


def _age_s(at: datetime | None) -> float | None:
    return round(max((datetime.now(UTC) - at).total_seconds(), 0), 3) if at is not None else None


def _backlog(standing: Standing, backlogs: HandlerBacklog) -> int | None:
    """Work for which a worker is needed: more workers do not help a handler that is paused."""
    if standing.limits.paused:
        return standing.running
    backlog = backlogs.all
    return backlog.lag + backlog.pending + standing.due if backlog is not None else None


def _sum(measured: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One unknown part makes a sum unknown: too small a number would send workers home."""
    sums: dict[str, Any] = {
        name: None if any(one[name] is None for one in measured) else sum(one[name] for one in measured)
        for name in _SUMMED
    }
    ages = {
        name: max((one[name] for one in measured if one[name] is not None), default=None) for name in _AGES
    }
    rates = {name: round(sum(one[name] for one in measured), 3) for name in _RATES}
    return {**sums, **ages, **rates}
