"""One customer's orders with their lines, and what they come to."""

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, Final

from sqlalchemy import Row as SqlRow
from sqlalchemy import text

from report_service.document import Column, Document, Figure, Table
from report_service.period import Period
from report_service.reading import Source
from shared.errors import TrunklineError

_COLUMNS: Final = (
    Column("ordered_at", "Ordered", "instant"),
    Column("order_id", "Order", "code"),
    Column("status", "Status", "text"),
    Column("sku", "Product", "code"),
    Column("quantity", "Quantity", "count"),
    Column("unit_price", "Unit price", "money"),
    Column("amount", "Amount", "money"),
)
_ORDER_COLUMNS: Final = 3
# A customer whose registration has not come here yet is known by the orders.
_CUSTOMER: Final = text("""
    (SELECT name, email FROM report.users WHERE user_id = :user_id)
    UNION ALL
    (SELECT name, email FROM report.orders
     WHERE user_id = :user_id AND ordered_at IS NOT NULL ORDER BY ordered_at DESC LIMIT 1)
    LIMIT 1
""")
_LINES: Final = text("""
    SELECT o.currency, o.ordered_at, o.order_id, o.status, i.sku, i.quantity, i.unit_price_cents
    FROM report.orders o JOIN report.order_items i USING (order_id)
    WHERE o.user_id = :user_id AND o.ordered_at >= :begin AND o.ordered_at < :end
    ORDER BY o.currency, o.ordered_at, o.order_id, i.line
""")
_NOTES: Final = (
    "Rejected orders are not charged. Pending orders wait for the warehouse and are not in the total.",
)


class NoSuchCustomer(TrunklineError):
    """No event has told of this user yet."""

    def __init__(self, user_id: str) -> None:
        super().__init__(f"no user {user_id} has registered or ordered")


async def customer_statement(source: Source, period: Period, *, user_id: str, now: datetime) -> Document:
    """The orders of the user in the period; NoSuchCustomer when nobody of this id is known here."""
    customer = next(iter(await source.read(_CUSTOMER, user_id=user_id)), None)
    if customer is None:
        raise NoSuchCustomer(user_id)
    found = await source.read(_LINES, user_id=user_id, begin=period.begin, end=period.end)
    by_currency = [(key, list(rows)) for key, rows in groupby(found, key=lambda row: row.currency)]
    name = [("Customer", customer.name)] if customer.name else []
    return Document(
        kind="customer_statement",
        title="Customer statement",
        first_day=period.first_day,
        last_day=period.last_day,
        time_zone=str(period.zone),
        generated_at=now,
        columns=_COLUMNS,
        about=[*name, ("Address", customer.email), ("Customer number", user_id)],
        figures=_figures(by_currency),
        tables=[_table(currency, lines, period) for currency, lines in by_currency],
        notes=_NOTES,
    )


def _table(currency: str, lines: Sequence[SqlRow[Any]], period: Period) -> Table:
    rows = [
        (
            line.ordered_at.astimezone(period.zone),
            line.order_id,
            line.status,
            line.sku,
            line.quantity,
            line.unit_price_cents,
            line.quantity * line.unit_price_cents,
        )
        for line in lines
    ]
    return Table(
        title=f"Orders in {currency}",
        columns=_COLUMNS,
        rows=rows,
        total=("Total of confirmed orders", None, None, None, None, None, _sum(lines, "confirmed")),
        currency=currency,
        grouped=_ORDER_COLUMNS,
    )


def _figures(by_currency: Sequence[tuple[str, Sequence[SqlRow[Any]]]]) -> list[Figure]:
    orders = {line.order_id for _, lines in by_currency for line in lines}
    figures = [Figure("orders", "Orders", len(orders), "count")]
    for currency, lines in by_currency:
        figures.append(Figure("confirmed", "Confirmed", _sum(lines, "confirmed"), "money", currency))
        figures += [
            Figure(status, status.capitalize(), amount, "money", currency)
            for status in ("pending", "rejected")
            if (amount := _sum(lines, status))
        ]
    return figures


def _sum(lines: Sequence[SqlRow[Any]], status: str) -> int:
    return sum(line.quantity * line.unit_price_cents for line in lines if line.status == status)
