"""A document as a PDF: typeset by typst from a template of ours.

The template gets the document as JSON, a file beside it, and shows its strings as they are: nothing of a
name is ever part of the source, so none can be code. It reads nothing but what is handed to it here.
"""

import re
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import msgspec
import typst

from report_service import charts
from report_service.document import Chart, Document, House, Row, Table, ValueKind
from report_service.formats.shown import shown

_TAGGED_ROWS: Final = 1000
"""A larger document would be ten times its size with tags."""

_KEPT_ROWS: Final = 200
_KEPT_FOR: Final = 10
"""typst keeps its intermediate results until so many other documents did without them."""

_LEFT: Final = frozenset[ValueKind]({"text", "code", "day", "instant"})
# A run without a place to break would leave its cell; a zero-width space is such a place.
_LONG_RUN: Final = re.compile(r"[^\s\-\u200b]{18}(?=[^\s\-])")


def write_pdf(document: Document, path: Path, house: House) -> None:
    """A cover with the figures and a chart, then the tables; tagged for screen readers."""
    # typst takes files from memory, too; its type hints do not know yet.
    sources: Any = {
        "main.typ": _template(),
        "report.json": msgspec.json.encode(_content(document, house.issuer)),
        **{f"chart-{n}.svg": _svg(chart, document).encode() for n, chart in enumerate(document.charts)},
    }
    made_at = document.generated_at.replace(microsecond=0)
    typst.compile(
        sources,
        output=str(path),
        format="pdf",
        font_paths=_fonts(house.fonts),
        timestamp=made_at,
        pdf_tags=document.rows <= _TAGGED_ROWS,
    )
    if document.rows > _KEPT_ROWS:
        _forget()


def _forget() -> None:
    """Let typst drop what it keeps of a document for the next ten: they may be ten of 400 MB each."""
    for _ in range(_KEPT_FOR + 1):
        typst.compile(b"", font_paths=_fonts(None))


@cache
def _template() -> bytes:
    return (files("report_service") / "templates" / "report.typ").read_bytes()


@cache
def _fonts(folder: Path | None) -> typst.Fonts:
    """Ours are bundled; those of the folder and the system fill in for the scripts that these lack."""
    return typst.Fonts(font_paths=[str(folder)] if folder else [])


def _content(document: Document, issuer: str) -> dict[str, Any]:
    return {
        "issuer": _breakable(issuer),
        "title": document.title,
        "period": _period(document),
        "generated": f"{document.generated_at:%Y-%m-%d %H:%M} UTC",
        "zone": document.time_zone,
        "about": [[label, _breakable(value)] for label, value in document.about],
        "figures": [
            [f"{figure.label}", shown(figure.value, figure.kind, figure.currency), figure.currency or ""]
            for figure in document.figures
        ],
        "charts": [{"title": chart.title, "says": _in_words(chart)} for chart in document.charts],
        "tables": [_table(table) for table in document.tables],
        "notes": list(document.notes),
    }


def _table(table: Table) -> dict[str, Any]:
    """Cells as text; a group's own cells stand once, in a line above its rows."""
    left = table.columns[table.grouped :]
    return {
        "title": table.title,
        "columns": [
            {"title": column.title, "kind": column.kind, "align": "left" if column.kind in _LEFT else "right"}
            for column in left
        ],
        "rows": _rows(table),
        "total": _total(table),
    }


def _rows(table: Table) -> list[Any]:
    """A list of texts is a row, a single text the headline of the group that follows."""
    if not table.grouped:
        return [_cells(row, table) for row in table.rows]
    found: list[Any] = []
    group: Row | None = None
    for row in table.rows:
        if row[: table.grouped] != group:
            group = row[: table.grouped]
            found.append("  ·  ".join(_cells(row, table)[: table.grouped]))
        found.append(_cells(row, table)[table.grouped :])
    return found


def _total(table: Table) -> list[str] | None:
    """The sums; what is no sum is left empty, and the first cell says what they are."""
    if table.total is None:
        return None
    texts = zip(table.total, _cells(table.total, table), strict=True)
    cells = ["" if value is None else text for value, text in texts]
    return [cells[0], *cells[table.grouped + 1 :]] if table.grouped else cells


def _cells(row: Row, table: Table) -> list[str]:
    return [
        _breakable(shown(value, column.kind, table.currency))
        for value, column in zip(row, table.columns, strict=True)
    ]


def _breakable(text: str) -> str:
    return _LONG_RUN.sub(lambda run: run.group() + "\u200b", text)


def _period(document: Document) -> str:
    first, last = document.first_day, document.last_day
    return _long(first) if first == last else f"{_long(first)} – {_long(last)}"  # noqa: RUF001 - from, to


def _long(day: Any) -> str:
    return f"{day.day} {day:%B} {day.year}"


def _svg(chart: Chart, document: Document) -> str:
    if chart.shape == "columns":
        return charts.columns(chart.labels, chart.values)
    table = document.tables[chart.table]
    n = table.column(chart.value_key)
    texts = [shown(row[n], table.columns[n].kind, table.currency) for row in table.rows[: len(chart.values)]]
    return charts.bars(chart.labels, chart.values, texts)


def _in_words(chart: Chart) -> str:
    """What a screen reader says of it."""
    most = max(range(len(chart.values)), key=chart.values.__getitem__)
    return f"{chart.title}: {len(chart.values)} values, the highest {chart.labels[most]}"
