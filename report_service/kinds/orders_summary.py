"""Orders by day and currency: how many, what became of them, and what they bring in."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row as SqlRow
from sqlalchemy import text

from report_service.document import Chart, Column, Document, Figure, Row, Table, main_unit
from report_service.period import Period
from report_service.reading import Source, TooManyRows

_COLUMNS: Final = (
    Column("day", "Day", "day"),
    Column("orders", "Orders", "count"),
    Column("confirmed", "Confirmed", "count"),
    Column("rejected", "Rejected", "count"),
    Column("pending", "Pending", "count"),
    Column("revenue", "Revenue", "money"),
    Column("average", "Average order", "money"),
)
# The days come as the instants at which they begin: so Postgres needs no time zones, and a day of 23 hours
# is one.
_BY_DAY: Final = text("""
    SELECT currency, width_bucket(ordered_at, CAST(:starts AS timestamptz[])) - 1 AS day,
           count(*) AS orders,
           count(*) FILTER (WHERE status = 'confirmed') AS confirmed,
           count(*) FILTER (WHERE status = 'rejected') AS rejected,
           coalesce(sum(total_cents) FILTER (WHERE status = 'confirmed'), 0)::bigint AS revenue
    FROM report.orders WHERE ordered_at >= :begin AND ordered_at < :end
    GROUP BY 1, 2 ORDER BY 1, 2
""")
_NOTES: Final = ("Revenue is the sum of confirmed orders; the average is revenue by confirmed order.",)


async def orders_summary(source: Source, period: Period, *, now: datetime) -> Document:
    """Each day of the period, for each currency that was used in it; the currency used most comes first."""
    found = await source.read(_BY_DAY, starts=period.starts, begin=period.begin, end=period.end)
    by_currency: dict[str, dict[int, SqlRow[Any]]] = {}
    for row in found:
        by_currency.setdefault(row.currency, {})[row.day] = row
    if len(by_currency) * len(period.days) > source.row_limit:
        raise TooManyRows(source.row_limit)
    tables = [_table(currency, days, period) for currency, days in by_currency.items()]
    tables.sort(key=lambda table: _total(table, "orders"), reverse=True)
    return Document(
        kind="orders_summary",
        title="Orders summary",
        first_day=period.first_day,
        last_day=period.last_day,
        time_zone=str(period.zone),
        generated_at=now,
        columns=_COLUMNS,
        figures=_figures(tables),
        charts=[_chart(table, n) for n, table in enumerate(tables[:3]) if _total(table, "revenue")],
        tables=tables,
        notes=_NOTES,
    )


def _table(currency: str, days: dict[int, SqlRow[Any]], period: Period) -> Table:
    rows: list[Row] = []
    for n, day in enumerate(period.days):
        found = days.get(n)
        counts = (found.orders, found.confirmed, found.rejected, found.revenue) if found else (0, 0, 0, 0)
        rows.append((day, *_line(*counts)))
    sums = [sum(getattr(row, name) for row in days.values()) for name in _SUMMED]
    return Table(
        title=f"Orders in {currency}",
        columns=_COLUMNS,
        rows=rows,
        total=("Total", *_line(*sums)),
        currency=currency,
    )


_SUMMED: Final = ("orders", "confirmed", "rejected", "revenue")


def _line(orders: int, confirmed: int, rejected: int, revenue: int) -> Row:
    average = (2 * revenue + confirmed) // (2 * confirmed) if confirmed else None
    return (orders, confirmed, rejected, orders - confirmed - rejected, revenue, average)


def _figures(tables: Sequence[Table]) -> list[Figure]:
    counted = [
        Figure(key, label, sum(_total(table, key) for table in tables), "count")
        for key, label in (
            ("orders", "Orders"),
            ("confirmed", "Confirmed"),
            ("rejected", "Rejected"),
            ("pending", "Pending"),
        )
    ]
    earned = [
        Figure("revenue", "Revenue", _total(table, "revenue"), "money", table.currency) for table in tables
    ]
    return counted + earned


def _chart(table: Table, n: int) -> Chart:
    day, revenue = table.column("day"), table.column("revenue")
    return Chart(
        title=f"Revenue by day, {table.currency}",
        shape="columns",
        labels=[f"{row[day]:%d} {row[day]:%b}".lstrip("0") for row in table.rows],
        values=[main_unit(row[revenue], table.currency) for row in table.rows],
        table=n,
        label_key="day",
        value_key="revenue",
    )


def _total(table: Table, key: str) -> int:
    value = table.total[table.column(key)] if table.total else 0
    return value if isinstance(value, int) else 0
