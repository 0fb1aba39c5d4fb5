"""What a report says, whatever it is written as: figures, charts and tables of plain values."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Literal, NamedTuple

from report_service.money import amount_of

ValueKind = Literal["text", "code", "day", "instant", "count", "money", "share", "seconds"]
"""`code` is text for machines (an id, a sku), `money` the smallest unit as an int, `share` 0 to 1."""

Value = str | int | float | date | datetime | None
Row = tuple[Value, ...]


class Column(NamedTuple):
    """A column of a table; `key` names it for machines."""

    key: str
    title: str
    kind: ValueKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of one kind, their amounts all in `currency`; `total` sums them up, None where there is no sum.

    The first `grouped` columns belong together: neighbours that agree in them are one group (an order and
    its lines).
    """

    title: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    total: Row | None = None
    currency: str | None = None
    grouped: int = 0

    def column(self, key: str) -> int:
        """Where the column of this key stands."""
        return next(n for n, column in enumerate(self.columns) if column.key == key)


class Figure(NamedTuple):
    """A number that stands out."""

    key: str
    label: str
    value: Value
    kind: ValueKind
    currency: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Columns over time, or bars by size; `labels` and `values` come from one table."""

    title: str
    shape: Literal["columns", "bars"]
    labels: Sequence[str]
    values: Sequence[float]
    table: int
    """Of which table of the document."""
    label_key: str
    value_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A report, ready to be written."""

    kind: str
    title: str
    first_day: date
    last_day: date
    time_zone: str
    generated_at: datetime
    columns: Sequence[Column]
    """Those of its tables, also when there is none."""
    about: Sequence[tuple[str, str]] = ()
    figures: Sequence[Figure] = ()
    charts: Sequence[Chart] = ()
    tables: Sequence[Table] = ()
    notes: Sequence[str] = ()

    @property
    def rows(self) -> int:
        """How many rows of data it has."""
        return sum(len(table.rows) for table in self.tables)

    @property
    def has_money(self) -> bool:
        """Whether a currency belongs to its rows."""
        return any(column.kind == "money" for column in self.columns)


class House(NamedTuple):
    """Who issues reports, and what with."""

    issuer: str
    fonts: Path | None = None
    """A folder of fonts beside those that are bundled and installed."""


def main_unit(smallest: Value, currency: str | None) -> float:
    """An amount as a chart or a spreadsheet takes it."""
    return float(amount_of(int(smallest), currency or "")) if isinstance(smallest, int | float) else 0.0
