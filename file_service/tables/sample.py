"""The first rows of a table: cells in, CSV out that no spreadsheet takes for a formula."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any, Final

from file_service.findings import Made

ROWS: Final = 100

_LONGEST_CELL: Final = 1_000
_BEGINS_A_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


def sample(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> Made:
    """The rows as the artifact `sample.csv`."""
    target = io.StringIO(newline="")
    writer = csv.writer(target)
    writer.writerow([harmless(name) for name in names])
    writer.writerows([harmless(cell) for cell in row] for row in rows)
    return Made("sample.csv", "text/csv; charset=utf-8", target.getvalue().encode("utf-8", "replace"))


def harmless(cell: Any) -> str:
    """The cell as text; with an apostrophe before it where a spreadsheet would calculate it (OWASP)."""
    if cell is None:
        return ""
    shown = str(cell)[:_LONGEST_CELL].replace("\0", "\N{REPLACEMENT CHARACTER}")
    return "'" + shown if shown.startswith(_BEGINS_A_FORMULA) else shown
