"""A document as JSON, for programs: all that it says, amounts as integers of the smallest unit."""

from datetime import date, datetime
from pathlib import Path
from typing import Any

import msgspec

from report_service.document import Column, Document, House, Row, Table, Value
from shared.clock import rfc3339


def write_json(document: Document, path: Path, house: House) -> None:
    """`{"report": {...}, "figures": [...], "tables": [{"currency", "columns", "rows", "total"}]}`."""
    content = {
        "report": {
            "kind": document.kind,
            "title": document.title,
            "issuer": house.issuer,
            "first_day": document.first_day.isoformat(),
            "last_day": document.last_day.isoformat(),
            "time_zone": document.time_zone,
            "generated_at": rfc3339(document.generated_at),
            "rows": document.rows,
        }
        | ({"about": dict(document.about)} if document.about else {}),
        "figures": [_figure(figure) for figure in document.figures],
        "tables": [_table(table) for table in document.tables],
        "notes": list(document.notes),
    }
    with path.open("wb") as file:
        file.write(msgspec.json.encode(content))


def _figure(figure: Any) -> dict[str, Any]:
    found = {"key": _key(figure.key, figure.kind), "label": figure.label, "value": _plain(figure.value)}
    return found | ({"currency": figure.currency} if figure.currency else {})


def _table(table: Table) -> dict[str, Any]:
    return {
        "title": table.title,
        "currency": table.currency,
        "columns": [{"key": _key(*_named(column)), "title": column.title} for column in table.columns],
        "rows": [_row(row, table) for row in table.rows],
        "total": _row(table.total, table, is_total=True) if table.total else None,
    }


def _row(row: Row, table: Table, *, is_total: bool = False) -> dict[str, Any]:
    """Of a total, only what is a sum: the first cell is a caption."""
    return {
        _key(*_named(column)): _plain(value)
        for n, (column, value) in enumerate(zip(table.columns, row, strict=True))
        if not is_total or (n and value is not None)
    }


def _named(column: Column) -> tuple[str, str]:
    return column.key, column.kind


def _key(key: str, kind: str) -> str:
    return f"{key}_cents" if kind == "money" else key


def _plain(value: Value) -> Any:
    if isinstance(value, datetime):
        return rfc3339(value)
    return value.isoformat() if isinstance(value, date) else value
