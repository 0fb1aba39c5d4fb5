"""A document as an XLSX workbook: a sheet of figures with a native chart, and a sheet for each table.

Rows are written one after another and not kept (constant_memory). Text stays text, whatever it begins with.
"""

from collections.abc import Iterable
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import xlsxwriter

from report_service.document import Chart, Column, Document, House, Row, Table, Value, ValueKind, main_unit
from report_service.money import digits_of

_OPTIONS: Final = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
    "remove_timezone": True,
}
_WIDTHS: Final[dict[ValueKind, int]] = {
    "text": 14,
    "code": 24,
    "day": 12,
    "instant": 17,
    "count": 12,
    "money": 16,
    "share": 12,
    "seconds": 13,
}
_PLAIN: Final[dict[ValueKind, str]] = {
    "text": "@",
    "code": "@",
    "day": "yyyy-mm-dd",
    "instant": "yyyy-mm-dd hh:mm",
    "count": "#,##0",
    "share": "0.0%",
    "seconds": "#,##0.000",
}
_ACCENT: Final = "#1d6f8c"
_LONGEST_CELL: Final = 32_767


def write_workbook(document: Document, path: Path, house: House) -> None:
    """Summary first, then a sheet a table."""
    with xlsxwriter.Workbook(str(path), _OPTIONS) as book:
        book.set_properties({"title": document.title, "author": house.issuer, "created": _naive(document)})
        formats = Formats(book)
        summary = book.add_worksheet("Summary")
        sheets = [_sheet_name(table, n) for n, table in enumerate(document.tables)]
        _write_summary(book, summary, document, formats, sheets)
        for name, table in zip(sheets, document.tables, strict=True):
            _write_table(book.add_worksheet(name), table, formats)


class Formats:
    """The cell formats of a workbook, each made once."""

    def __init__(self, book: Any) -> None:
        self._book = book
        self._known: dict[tuple[str, bool], Any] = {}
        self.title = book.add_format({"bold": True, "font_size": 18, "font_color": _ACCENT})
        self.faint = book.add_format({"font_color": "#52606d"})
        self.header = book.add_format(
            {"bold": True, "font_color": "#ffffff", "bg_color": _ACCENT, "text_wrap": True, "valign": "top"}
        )

    def of(self, kind: ValueKind, currency: str | None, *, is_total: bool = False) -> Any:
        """How a value of the kind looks; in a total, bold below a line."""
        pattern = _money(currency) if kind == "money" else _PLAIN[kind]
        key = (pattern, is_total)
        if key not in self._known:
            look: dict[str, Any] = {"num_format": pattern, "align": _align(kind)}
            if is_total:
                look |= {"bold": True, "top": 1}
            self._known[key] = self._book.add_format(look)
        return self._known[key]


def _write_summary(
    book: Any, sheet: Any, document: Document, formats: Formats, sheets: Iterable[str]
) -> None:
    sheet.hide_gridlines(2)
    sheet.set_column(0, 0, 30)
    sheet.set_column(1, 1, 26)
    sheet.write_string(0, 0, document.title, formats.title)
    lines = [
        ("Period", f"{document.first_day} to {document.last_day}"),
        ("Time zone", document.time_zone),
        ("Generated (UTC)", f"{document.generated_at:%Y-%m-%d %H:%M}"),
        *document.about,
    ]
    at = 2
    for label, value in lines:
        sheet.write_string(at, 0, label, formats.faint)
        sheet.write_string(at, 1, value)
        at += 1
    at += 1
    for figure in document.figures:
        label = f"{figure.label} ({figure.currency})" if figure.currency else figure.label
        sheet.write_string(at, 0, label, formats.faint)
        look = formats.of(figure.kind, figure.currency)
        _write(sheet, (at, 1), figure.value, look=look, kind=figure.kind, currency=figure.currency)
        at += 1
    at += 1
    for note in document.notes if document.rows else ("Nothing in these days.", *document.notes):
        sheet.write_string(at, 0, note, formats.faint)
        at += 1
    names = list(sheets)
    for n, chart in enumerate(document.charts):
        _insert_chart(book, sheet, chart, document.tables[chart.table], names[chart.table], place=(n * 18, 3))


def _write_table(sheet: Any, table: Table, formats: Formats) -> None:
    """Header, rows, then the sum apart from what can be filtered."""
    sheet.freeze_panes(1, 0)
    for n, column in enumerate(table.columns):
        sheet.set_column(n, n, _WIDTHS[column.kind])
        sheet.write_string(0, n, _headline(column, table.currency), formats.header)
    for at, row in enumerate(table.rows, start=1):
        _write_row(sheet, at, row, table, formats, is_total=False)
    sheet.autofilter(0, 0, max(1, len(table.rows)), len(table.columns) - 1)
    if table.total:
        _write_row(sheet, len(table.rows) + 2, table.total, table, formats, is_total=True)


def _write_row(sheet: Any, at: int, row: Row, table: Table, formats: Formats, *, is_total: bool) -> None:
    for n, (value, column) in enumerate(zip(row, table.columns, strict=True)):
        kind: ValueKind = "text" if is_total and isinstance(value, str) else column.kind
        look = formats.of(kind, table.currency, is_total=is_total)
        _write(sheet, (at, n), value, look=look, kind=kind, currency=table.currency)


def _write(
    sheet: Any, place: tuple[int, int], value: Value, *, look: Any, kind: ValueKind, currency: str | None
) -> None:
    at, n = place
    if value is None:
        sheet.write_blank(at, n, None, look)
    elif isinstance(value, datetime):
        sheet.write_datetime(at, n, value.replace(tzinfo=None), look)
    elif isinstance(value, date):
        sheet.write_datetime(at, n, datetime(value.year, value.month, value.day), look)  # noqa: DTZ001 - a cell has no zone
    elif isinstance(value, str):
        sheet.write_string(at, n, value[:_LONGEST_CELL], look)
    else:
        sheet.write_number(at, n, main_unit(value, currency) if kind == "money" else value, look)


def _insert_chart(
    book: Any, sheet: Any, chart: Chart, table: Table, name: str, *, place: tuple[int, int]
) -> None:
    label, value = table.column(chart.label_key), table.column(chart.value_key)
    last = len(chart.values)
    native = book.add_chart({"type": "column" if chart.shape == "columns" else "bar"})
    native.add_series(
        {
            "name": chart.title,
            "categories": [name, 1, label, last, label],
            "values": [name, 1, value, last, value],
            "fill": {"color": _ACCENT},
            "gap": 60,
        }
    )
    native.set_title({"name": chart.title, "name_font": {"size": 12}})
    native.set_legend({"none": True})
    if chart.shape == "bars":
        native.set_y_axis({"reverse": True})
    native.set_size({"width": 640, "height": 340})
    sheet.insert_chart(*place, native)


def _headline(column: Column, currency: str | None) -> str:
    if column.kind == "money":
        return f"{column.title} ({currency})"
    return f"{column.title} (s)" if column.kind == "seconds" else column.title


def _sheet_name(table: Table, n: int) -> str:
    return table.currency or ("Data" if n == 0 else f"Data {n + 1}")


def _money(currency: str | None) -> str:
    digits = digits_of(currency or "")
    return "#,##0" + (f".{'0' * digits}" if digits else "")


def _align(kind: ValueKind) -> str:
    return "left" if kind in {"text", "code"} else "right"


def _naive(document: Document) -> datetime:
    return document.generated_at.replace(tzinfo=None)
