"""How a CSV file is written: its first lines in, delimiter and header out.

Decided here, so that an odd line later in the file is a fault of that line, not another guess at the whole.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from file_service.findings import Unusable

_SAMPLE_BYTES: Final = 1 << 20
_SAMPLE_ROWS: Final = 500
_DELIMITERS: Final = (",", ";", "\t", "|")
_LONGEST_NAME: Final = 200
_VALUE: Final = re.compile(r"\s*[-+]?(\d+([.,]\d+)*|\d{4}-\d\d-\d\d.*|true|false)\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How the rows are to be read."""

    delimiter: str
    has_header: bool
    columns: tuple[str, ...]
    """Their names: of the header, made unique, or `column1`, ..."""


def dialect_of(path: Path, *, most_columns: int, prefers_tabs: bool = False) -> Dialect:
    """The dialect of a CSV file in UTF-8; Unusable for too many columns, or a first line without an end."""
    with path.open("rb") as file:
        sample = file.read(_SAMPLE_BYTES)
        is_whole = not file.read(1)
    if not is_whole:
        end = max(sample.rfind(b"\n"), sample.rfind(b"\r"))
        _refuse_wide(sample if end < 0 else sample[:end].split(b"\n", 1)[0], most_columns)
        if end < 0:
            raise Unusable(f"line 1: no end within {_SAMPLE_BYTES} bytes")
        sample = sample[: end + 1]
    lines = sample.decode("utf-8-sig", "replace")
    delimiters = ("\t", *_DELIMITERS) if prefers_tabs else _DELIMITERS
    delimiter = max(dict.fromkeys(delimiters), key=lambda one: _fit(_rows(lines, one)))
    rows = _rows(lines, delimiter)
    if not rows:
        raise Unusable("there is no line with a value in it")
    if len(rows[0]) > most_columns:
        raise _wide(len(rows[0]), most_columns)
    has_header = _has_header(rows)
    return Dialect(delimiter, has_header, _names(rows[0] if has_header else [""] * len(rows[0])))


def _rows(lines: str, delimiter: str) -> list[list[str]]:
    """The first rows that have a value."""
    reader = csv.reader(io.StringIO(lines, newline=""), delimiter=delimiter)
    rows: list[list[str]] = []
    try:
        for row in reader:
            if row:
                rows.append(row)
            if len(rows) == _SAMPLE_ROWS:
                break
    except csv.Error:  # a field too long for this reader: what was read before suffices
        pass
    return rows


def _fit(rows: Sequence[Sequence[str]]) -> tuple[float, int]:
    """How well a delimiter explains the rows: how many are of the usual width, then how wide that is."""
    if not rows:
        return (0.0, 0)
    [(width, usual)] = Counter(len(row) for row in rows).most_common(1)
    return (0.0, 0) if width == 1 else (usual / len(rows), width)


def _has_header(rows: Sequence[Sequence[str]]) -> bool:
    """Names are no values; a table of nothing but words is taken to begin with its names."""
    first = [cell.strip() for cell in rows[0]]
    return any(first) and not any(_VALUE.fullmatch(cell) for cell in first)


def _names(cells: Sequence[str]) -> tuple[str, ...]:
    """A name for each column that no other has, as a database understands sameness: in any case."""
    names: list[str] = []
    taken: set[str] = set()
    for number, cell in enumerate(cells, 1):
        base = wanted = " ".join(cell.split())[:_LONGEST_NAME].replace("\0", "") or f"column{number}"
        count = 1
        while wanted.casefold() in taken:
            count += 1
            wanted = f"{base}_{count}"
        taken.add(wanted.casefold())
        names.append(wanted)
    return tuple(names)


def _refuse_wide(line: bytes, most_columns: int) -> None:
    """Before a reader is given a line of a million cells."""
    columns = max(line.count(delimiter.encode()) for delimiter in _DELIMITERS) + 1
    if columns > most_columns and b'"' not in line:
        raise _wide(columns, most_columns)


def _wide(columns: int, most_columns: int) -> Unusable:
    return Unusable(f"line 1: {columns} or more columns; {most_columns} are allowed")
