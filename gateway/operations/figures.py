"""What became of jobs lately, by the minute: a span of time in, series and percentiles by handler out."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.history.durations import add_to, percentile
from shared.clock import rfc3339

STEP: Final = timedelta(minutes=1)
UNKNOWN: Final = "unknown"
"""The version of a worker that nobody knows any more."""

_READ: Final = text("""
    SELECT minute, handler, version, succeeded, dead, retried, waits, runs FROM gateway.job_minutes
    WHERE minute >= :first AND minute <= :last AND (CAST(:handler AS text) IS NULL OR handler = :handler)
    ORDER BY handler, version
""")


class Series:
    """Figures minute by minute; slots that nothing happened in are 0, their percentiles None."""

    def __init__(self, slots: int) -> None:
        self._succeeded, self._dead, self._retried = [0] * slots, [0] * slots, [0] * slots
        self._waits: list[list[int]] = [[] for _ in range(slots)]
        self._runs: list[list[int]] = [[] for _ in range(slots)]

    def add(self, slot: int, row: Any) -> None:
        """Add what a row of a minute says."""
        self._succeeded[slot] += row.succeeded
        self._dead[slot] += row.dead
        self._retried[slot] += row.retried
        add_to(self._waits[slot], row.waits)
        add_to(self._runs[slot], row.runs)

    def to_api(self) -> dict[str, Any]:
        """The series, and the same over all of them."""
        waits, runs = _sum(self._waits), _sum(self._runs)
        return {
            "succeeded": self._succeeded,
            "dead": self._dead,
            "retried": self._retried,
            "wait_p50_ms": [percentile(one, 0.5) for one in self._waits],
            "wait_p95_ms": [percentile(one, 0.95) for one in self._waits],
            "run_p50_ms": [percentile(one, 0.5) for one in self._runs],
            "run_p95_ms": [percentile(one, 0.95) for one in self._runs],
            "total": {
                "succeeded": sum(self._succeeded),
                "dead": sum(self._dead),
                "retried": sum(self._retried),
                "wait_p50_ms": percentile(waits, 0.5),
                "wait_p95_ms": percentile(waits, 0.95),
                "run_p50_ms": percentile(runs, 0.5),
                "run_p95_ms": percentile(runs, 0.95),
            },
        }


async def figures(
    engine: AsyncEngine, *, last: datetime, minutes: int, handler: str | None
) -> dict[str, Any]:
    """The figures of so many minutes, `last` the instant in the last of them, as the REST API shows them."""
    last = last.replace(second=0, microsecond=0)
    first = last - (minutes - 1) * STEP
    async with engine.connect() as connection:
        rows = (await connection.execute(_READ, {"first": first, "last": last, "handler": handler})).all()
    every = Series(minutes)
    by_handler: dict[str, Series] = {}
    versions: dict[str, dict[str, list[int]]] = {}
    for row in rows:
        slot = (row.minute - first) // STEP
        every.add(slot, row)
        by_handler.setdefault(row.handler, Series(minutes)).add(slot, row)
        counts = versions.setdefault(row.handler, {}).setdefault(row.version or UNKNOWN, [0, 0])
        counts[0] += row.succeeded + row.dead
        counts[1] += row.retried + row.dead
    return {
        "from": rfc3339(first),
        "to": rfc3339(last + STEP),
        "step_s": int(STEP.total_seconds()),
        "all": every.to_api(),
        "handlers": [
            {
                "handler": name,
                "service": name.partition(".")[0],
                **series.to_api(),
                "versions": [
                    {"version": version, "ended": ended, "failed": failed}
                    for version, (ended, failed) in versions[name].items()
                ],
            }
            for name, series in by_handler.items()
        ],
    }


def _sum(histograms: Sequence[list[int]]) -> list[int]:
    total: list[int] = []
    for histogram in histograms:
        add_to(total, histogram)
    return total
