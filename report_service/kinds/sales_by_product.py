"""What was sold: units and revenue of each product in confirmed orders, the best first."""

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, Final

from sqlalchemy import Row as SqlRow
from sqlalchemy import text

from report_service.document import Chart, Column, Document, Figure, Row, Table, main_unit
from report_service.period import Period
from report_service.reading import Source

_COLUMNS: Final = (
    Column("sku", "Product", "code"),
    Column("orders", "Orders", "count"),
    Column("units", "Units", "count"),
    Column("revenue", "Revenue", "money"),
    Column("share", "Share of revenue", "share"),
)
_BY_PRODUCT: Final = text("""
    SELECT o.currency, i.sku, count(*) AS orders, sum(i.quantity)::bigint AS units,
           sum(i.quantity * i.unit_price_cents)::bigint AS revenue
    FROM report.orders o JOIN report.order_items i USING (order_id)
    WHERE o.ordered_at >= :begin AND o.ordered_at < :end AND o.status = 'confirmed'
    GROUP BY o.currency, i.sku ORDER BY o.currency, revenue DESC, i.sku
""")
_NOTES: Final = ("Confirmed orders only. An order with several products counts with each of them.",)
_CHARTED: Final = 10


async def sales_by_product(source: Source, period: Period, *, now: datetime) -> Document:
    """Each product that was sold in the period, a table for each currency."""
    found = await source.read(_BY_PRODUCT, begin=period.begin, end=period.end)
    tables = [_table(key, list(rows)) for key, rows in groupby(found, key=lambda row: row.currency)]
    tables.sort(key=lambda table: len(table.rows), reverse=True)
    return Document(
        kind="sales_by_product",
        title="Sales by product",
        first_day=period.first_day,
        last_day=period.last_day,
        time_zone=str(period.zone),
        generated_at=now,
        columns=_COLUMNS,
        figures=_figures(tables),
        charts=[_chart(table, n) for n, table in enumerate(tables[:3])],
        tables=tables,
        notes=_NOTES,
    )


def _table(currency: str, found: Sequence[SqlRow[Any]]) -> Table:
    revenue = sum(row.revenue for row in found)
    rows: list[Row] = [
        (row.sku, row.orders, row.units, row.revenue, row.revenue / revenue if revenue else 0.0)
        for row in found
    ]
    return Table(
        title=f"Products sold in {currency}",
        columns=_COLUMNS,
        rows=rows,
        total=("Total", None, sum(row.units for row in found), revenue, 1.0 if revenue else 0.0),
        currency=currency,
    )


def _figures(tables: Sequence[Table]) -> list[Figure]:
    products = {row[0] for table in tables for row in table.rows}
    units = sum(int(table.total[2] or 0) for table in tables if table.total)  # pyright: ignore[reportArgumentType] - a count
    return [
        Figure("products", "Products sold", len(products), "count"),
        Figure("units", "Units", units, "count"),
        *(
            Figure("revenue", "Revenue", table.total[3], "money", table.currency)
            for table in tables
            if table.total
        ),
    ]


def _chart(table: Table, n: int) -> Chart:
    best = table.rows[:_CHARTED]
    return Chart(
        title=f"Best {len(best)} by revenue, {table.currency}",
        shape="bars",
        labels=[str(row[0]) for row in best],
        values=[main_unit(row[3], table.currency) for row in best],
        table=n,
        label_key="sku",
        value_key="revenue",
    )
