"""The rows of a document as CSV (RFC 4180): a header, then a row a line, in UTF-8, amounts as decimals."""

import csv
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

from report_service.document import Column, Document, House, Table, Value
from report_service.money import amount_of
from shared.clock import rfc3339

# A spreadsheet takes what begins so for a formula, and runs it.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001 - full-width twins count, too


def write_csv(document: Document, path: Path, house: House) -> None:
    """All tables as one, with a column for the currency where there are amounts; sums are left out."""
    del house
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow(_header(document))
        for table in document.tables:
            writer.writerows(_lines(document, table))


def _header(document: Document) -> list[str]:
    keys = [column.key for column in document.columns]
    return [*keys, "currency"] if document.has_money else keys


def _lines(document: Document, table: Table) -> Iterator[list[str]]:
    end = [table.currency or ""] if document.has_money else []
    for row in table.rows:
        cells = (_cell(value, column, table) for value, column in zip(row, table.columns, strict=True))
        yield [*cells, *end]


def _cell(value: Value, column: Column, table: Table) -> str:
    if value is None:
        return ""
    if column.kind == "money" and isinstance(value, int):
        return str(amount_of(value, table.currency or ""))
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, float):
        return f"{value:.6f}"
    return _harmless(str(value)) if column.kind in {"text", "code"} else str(value)


def _harmless(text: str) -> str:
    """Text that no spreadsheet takes for a formula: an apostrophe says that it is text."""
    return f"'{text}" if text.startswith(_FORMULA) else text
