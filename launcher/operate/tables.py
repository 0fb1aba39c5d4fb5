"""Rows of values in; a table that fits the terminal, or tab-separated lines, out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from launcher.operate.instants import Instant

_GAP: Final = 2
_LEAST_TEXT: Final = 12
"""A column that may be cut keeps so many characters; below that, others go first."""

_COLOURS: Final = {
    "succeeded": "green", "running": "cyan", "retrying": "yellow", "dead": "red", "expired": "magenta",
    "cancelled": "magenta", "paused": "yellow", "active": "green", "skipped": "yellow", "revoked": "red",
}  # fmt: skip

Item = dict[str, Any]


class Column(NamedTuple):
    """One column: its title, the value of an item, and how much it matters.

    Where the terminal is narrow the column of the highest rank goes first; rank 0 stays, whole. `cut` says
    that a part of the text is better than none.
    """

    title: str
    of: Callable[[Item], object]
    rank: int = 1
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """What a list is: `none` is said on a terminal when there is nothing."""

    columns: Sequence[Column]
    items: Sequence[Item]
    none: str = "none"

    def lines(self) -> list[str]:
        """For programs: a line an item, its values separated by tabs, `-` for none."""
        return ["\t".join(text_of(column.of(item)) for column in self.columns) for item in self.items]

    def renderable(self, width: int) -> Any:
        """For people: with titles, no wider than the terminal as far as the id allows."""
        if not self.items:
            return self.none
        return _drawn(*_fitting(self.columns, self.items, width), width)


def member(name: str, *path: str) -> Callable[[Item], object]:
    """The value of this member of an item, or of a member of that; None when it is missing."""

    def of(item: Item) -> object:
        value: Any = item.get(name)
        for step in path:
            value = value.get(step) if isinstance(value, dict) else None
        return value

    return of


def at(name: str) -> Callable[[Item], object]:
    """The instant that is this member."""
    return lambda item: Instant(item[name]) if item.get(name) else None


def text_of(value: object, *, short: bool | None = None) -> str:
    """A value as one line of text; `short` None gives instants as the API has them.

    What comes from elsewhere, as messages of errors do, moves no cursor.
    """
    match value:
        case None | "":
            return "-"
        case bool():
            return "yes" if value else "no"
        case Instant() if short is not None:
            return value.short() if short else value.full()
        case list() | tuple():
            return ", ".join(map(str, value)) or "-"
        case float():
            return f"{value:g}"
        case _:
            return plain(" ".join(str(value).split()) or "-")


def plain(text: str) -> str:
    """Without what a terminal would take for an order; lines stay lines."""
    return "".join(one if one.isprintable() or one == "\n" else repr(one)[1:-1] for one in text)


def _fitting(
    columns: Sequence[Column], items: Sequence[Item], width: int
) -> tuple[list[Column], list[list[str]]]:
    """The columns that fit, and their texts: first all, then short instants, then fewer columns."""
    shown = list(columns)
    if _least_width(shown, rows := _texts(shown, items, short=False)) <= width:
        return shown, rows
    while _least_width(shown, rows := _texts(shown, items, short=True)) > width:
        rank = max(column.rank for column in shown)
        if rank == 0:
            break
        del shown[max(index for index, column in enumerate(shown) if column.rank == rank)]
    return shown, rows


def _texts(columns: Sequence[Column], items: Sequence[Item], *, short: bool) -> list[list[str]]:
    return [[text_of(column.of(item), short=short) for column in columns] for item in items]


def _least_width(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> int:
    widths = [
        min(_width(column, rows, index), _LEAST_TEXT) if column.cut else _width(column, rows, index)
        for index, column in enumerate(columns)
    ]
    return sum(widths) + _GAP * (len(widths) - 1)


def _width(column: Column, rows: Sequence[Sequence[str]], index: int) -> int:
    from rich.cells import cell_len  # noqa: PLC0415 - only tables on a terminal pay for it

    return max(len(column.title), *(cell_len(row[index]) for row in rows))


def _drawn(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> Any:
    from rich.table import Table as RichTable  # noqa: PLC0415 - only a terminal pays for it
    from rich.text import Text  # noqa: PLC0415 - the same

    table = RichTable(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    fixed = sum(_width(one, rows, index) + _GAP for index, one in enumerate(columns) if not one.cut)
    cut = [index for index, one in enumerate(columns) if one.cut]
    left = max(width - fixed, _LEAST_TEXT) // max(len(cut), 1)
    for index, column in enumerate(columns):
        needed = _width(column, rows, index)
        most = min(needed, left - _GAP if index != len(columns) - 1 else left) if column.cut else needed
        table.add_column(column.title, no_wrap=True, overflow="ellipsis", min_width=most, max_width=most)
    for row in rows:
        table.add_row(*(Text(cell, style=_COLOURS.get(cell, "")) for cell in row))
    return table
