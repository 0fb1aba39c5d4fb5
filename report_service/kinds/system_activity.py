"""What the system worked on: the jobs of each handler, how they ended and how long they took.

Jobs belong to the gateway. It shows them to other services as the view gateway.job_runs, which has no event,
result or error in it (docs/decisions/0011-job-figures-are-a-published-view.md).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import text

from report_service.document import Chart, Column, Document, Figure, Row, Table
from report_service.period import Period
from report_service.reading import Source

_COLUMNS: Final = (
    Column("handler", "Handler", "code"),
    Column("jobs", "Jobs", "count"),
    Column("succeeded", "Succeeded", "count"),
    Column("dead", "Dead", "count"),
    Column("stopped", "Cancelled or expired", "count"),
    Column("open", "Open", "count"),
    Column("retried", "Retried", "count"),
    Column("mean_seconds", "Mean time", "seconds"),
    Column("p95_seconds", "95 % within", "seconds"),
)
_SUMMED: Final = ("jobs", "succeeded", "dead", "stopped", "open", "retried")
_BY_HANDLER: Final = text("""
    SELECT handler, count(*) AS jobs,
           count(*) FILTER (WHERE state = 'succeeded') AS succeeded,
           count(*) FILTER (WHERE state = 'dead') AS dead,
           count(*) FILTER (WHERE state IN ('cancelled', 'expired')) AS stopped,
           count(*) FILTER (WHERE state NOT IN ('succeeded', 'dead', 'cancelled', 'expired')) AS open,
           count(*) FILTER (WHERE attempt > 1) AS retried,
           extract(epoch FROM avg(finished_at - started_at)
               FILTER (WHERE state = 'succeeded'))::float8 AS mean_seconds,
           extract(epoch FROM percentile_cont(0.95) WITHIN GROUP (ORDER BY finished_at - started_at)
               FILTER (WHERE state = 'succeeded'))::float8 AS p95_seconds
    FROM gateway.job_runs WHERE queued_at >= :begin AND queued_at < :end
    GROUP BY handler ORDER BY jobs DESC, handler
""")
_NOTES: Final = (
    "Jobs that were queued in these days. Retried jobs needed more than one attempt.",
    "Times are those of the attempt that succeeded, from its start to its end, without waits.",
)
_CHARTED: Final = 10


async def system_activity(source: Source, period: Period, *, now: datetime) -> Document:
    """Each handler that had a job in the period, the busiest first."""
    found = await source.read(_BY_HANDLER, begin=period.begin, end=period.end)
    rows: list[Row] = [tuple(getattr(row, column.key) for column in _COLUMNS) for row in found]
    sums = {key: sum(getattr(row, key) for row in found) for key in _SUMMED}
    table = Table(
        title="Jobs by handler",
        columns=_COLUMNS,
        rows=rows,
        total=("Total", *sums.values(), None, None),
    )
    return Document(
        kind="system_activity",
        title="System activity",
        first_day=period.first_day,
        last_day=period.last_day,
        time_zone=str(period.zone),
        generated_at=now,
        columns=_COLUMNS,
        figures=_figures(sums),
        charts=_charts(rows),
        tables=[table] if rows else [],
        notes=_NOTES,
    )


def _figures(sums: dict[str, int]) -> list[Figure]:
    labels = ("Jobs", "Succeeded", "Dead", "Cancelled or expired", "Open", "Retried")
    return [Figure(key, label, sums[key], "count") for key, label in zip(_SUMMED, labels, strict=True)]


def _charts(rows: Sequence[Row]) -> list[Chart]:
    best = rows[:_CHARTED]
    chart = Chart(
        title="Jobs by handler",
        shape="bars",
        labels=[str(row[0]) for row in best],
        values=[float(row[1]) if isinstance(row[1], int) else 0.0 for row in best],
        table=0,
        label_key="handler",
        value_key="jobs",
    )
    return [chart] if best else []
