"""What became of jobs lately, by the minute: a span of time in, series and percentiles by handler out."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.history.durations import percentiles
from shared.clock import rfc3339

STEP: Final = timedelta(minutes=1)
UNKNOWN: Final = "unknown"
"""The version of a worker that nobody knows any more."""

_SHARES: Final = (0.5, 0.95)

_ARRAYS: Final = """
    array_agg((date_part('epoch', minute - :first) / 60)::integer),
    array_agg(succeeded::bigint), array_agg(dead::bigint), array_agg(retried::bigint),
    array_agg(waits::text), array_agg(runs::text), sum(waits)::text, sum(runs)::text
"""
_FOUND: Final = """
    FROM gateway.job_minutes
    WHERE minute >= :first AND minute <= :last AND (CAST(:handler AS text) IS NULL OR handler = :handler)
"""
# One row with arrays over the minutes in which something happened, for each handler and for all of them: to
# fetch a row for each minute, or to sort them, takes longer than all else here.
_HANDLERS: Final = text(f"SELECT handler, {_ARRAYS} {_FOUND} GROUP BY handler")
_ALL: Final = text(f"""
    SELECT '', {_ARRAYS} FROM (
        SELECT minute, sum(succeeded) AS succeeded, sum(dead) AS dead, sum(retried) AS retried,
            sum(waits) AS waits, sum(runs) AS runs
        {_FOUND} GROUP BY minute
    ) AS by_minute HAVING count(*) > 0
""")  # noqa: S608 - texts of ours
# What workers beside it would save, they spend on handing over the arrays.
_ALONE: Final = text("SET LOCAL max_parallel_workers_per_gather = 0")
_VERSIONS: Final = text(f"""
    SELECT handler, version, sum(succeeded + dead) AS ended, sum(retried + dead) AS failed
    {_FOUND} GROUP BY handler, version ORDER BY handler, version
""")


class _Row(NamedTuple):
    """A row of these; without values that of a span in which nothing happened."""

    handler: str = ""  # for all of them
    slots: Sequence[int] = ()
    succeeded: Sequence[int] = ()
    dead: Sequence[int] = ()
    retried: Sequence[int] = ()
    waits: Sequence[str] = ()
    runs: Sequence[str] = ()
    all_waits: str = "0"
    all_runs: str = "0"


async def figures(
    engine: AsyncEngine, *, last: datetime, minutes: int, handler: str | None
) -> dict[str, Any]:
    """The figures of so many minutes, `last` the instant in the last of them, as the REST API shows them."""
    last = last.replace(second=0, microsecond=0)
    first = last - (minutes - 1) * STEP
    values = {"first": first, "last": last, "handler": handler}
    async with engine.connect() as connection:
        # One view of the table: what all handlers did is the sum of what each did.
        await connection.execution_options(isolation_level="REPEATABLE READ")
        await connection.execute(_ALONE)
        every = [_Row(*row) for row in await connection.execute(_ALL, values)] or [_Row()]
        handlers = sorted(_Row(*row) for row in await connection.execute(_HANDLERS, values))
        versions = _by_handler(await connection.execute(_VERSIONS, values))
    # A day of many handlers takes a moment, in which the other requests of this gateway are served.
    all_of_them, *each = await asyncio.to_thread(lambda: [_series(row, minutes) for row in every + handlers])
    return {
        "from": rfc3339(first),
        "to": rfc3339(last + STEP),
        "step_s": int(STEP.total_seconds()),
        "all": all_of_them,
        "handlers": [
            {
                "handler": row.handler,
                "service": row.handler.partition(".")[0],
                **series,
                "versions": versions.get(row.handler, []),
            }
            for row, series in zip(handlers, each, strict=True)
        ],
    }


def _series(row: _Row, minutes: int) -> dict[str, Any]:
    """The series of a row, and the same over all of them.

    Slots that nothing happened in are 0, their percentiles None.
    """
    wait_p50, wait_p95 = _percentiles(row.slots, row.waits, minutes)
    run_p50, run_p95 = _percentiles(row.slots, row.runs, minutes)
    total_wait_p50, total_wait_p95 = percentiles(row.all_waits, *_SHARES)
    total_run_p50, total_run_p95 = percentiles(row.all_runs, *_SHARES)
    return {
        "succeeded": _spread(row.slots, row.succeeded, minutes),
        "dead": _spread(row.slots, row.dead, minutes),
        "retried": _spread(row.slots, row.retried, minutes),
        "wait_p50_ms": wait_p50,
        "wait_p95_ms": wait_p95,
        "run_p50_ms": run_p50,
        "run_p95_ms": run_p95,
        "total": {
            "succeeded": sum(row.succeeded),
            "dead": sum(row.dead),
            "retried": sum(row.retried),
            "wait_p50_ms": total_wait_p50,
            "wait_p95_ms": total_wait_p95,
            "run_p50_ms": total_run_p50,
            "run_p95_ms": total_run_p95,
        },
    }


def _spread(slots: Sequence[int], counts: Sequence[int], minutes: int) -> list[int]:
    series = [0] * minutes
    for slot, count in zip(slots, counts, strict=True):
        series[slot] += count
    return series


def _percentiles(slots: Sequence[int], histograms: Sequence[str], minutes: int) -> list[list[int | None]]:
    """A series for each of the shares."""
    by_slot: dict[int, str] = {}
    for slot, histogram in zip(slots, histograms, strict=True):
        other = by_slot.get(slot)  # that of another version
        by_slot[slot] = histogram if other is None else str(int(other) + int(histogram))
    half: list[int | None] = [None] * minutes
    most = half.copy()
    for slot, histogram in by_slot.items():
        half[slot], most[slot] = percentiles(histogram, *_SHARES)
    return [half, most]


def _by_handler(rows: Iterable[Any]) -> dict[str, list[dict[str, Any]]]:
    """What workers of each version did, by handler."""
    found: dict[str, list[dict[str, Any]]] = {}
    for handler, version, ended, failed in rows:
        one = {"version": version or UNKNOWN, "ended": ended, "failed": failed}
        found.setdefault(handler, []).append(one)
    return found
