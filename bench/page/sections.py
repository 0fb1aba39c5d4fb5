"""Results in, the sections of the page out: rows of contenders, columns of figures, the best first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bench.page.contestants import Side, side_of
from bench.result import Measurement, Results

_ASPECTS: Final = ("1 process", "2 processes")
"""Parts of a variant that are columns rather than rows."""

_LABELS: Final = {
    "enqueue_one": "one at a time",
    "enqueue_many": "in bulk",
    "drain": "",
    "pickup_p50": "p50",
    "pickup_p99": "p99",
    "rss": "RSS",
    "pss": "PSS",
    "idle_cpu": "CPU",
    "idle_commands": "commands to the broker",
    "awaited": "",
    "door": "",
    "door_p99": "p99",
    "door_start_p50": "request to handler, p50",
    "door_start_p99": "request to handler, p99",
    "backlog_drain": "drain",
    "backlog_memory": "memory of Redis",
    "backlog_pickup_p50": "pickup p50",
    "backlog_pickup_p99": "pickup p99",
    "guarantees": "",
    "guarantees_share": "of the plain rate",
    "fanout_events": "",
    "fanout_deliveries": "",
}

SECTIONS: Final = {
    "enqueue": "Enqueueing from Python",
    "drain": "Drain of preloaded jobs",
    "pickup": "Pickup at idle",
    "footprint": "An idle worker",
    "awaited": "Drain of jobs that await 10 ms",
    "door": "The HTTP door",
    "backlog": "Cost against backlog",
    "guarantees": "The price of each guarantee",
    "fanout": "One event, several handlers",
    "delayed": "A million delayed jobs",
}
"""By block of the page: its title. A figure belongs to the section that its name begins with."""
_FOOTPRINT: Final = ("rss", "pss", "idle_cpu", "idle_commands")
OTHERS: Final = "others"


@dataclass(frozen=True)
class Column:
    """One figure, or one aspect of it: what stands below one heading."""

    figure: str
    aspect: str
    unit: str

    @property
    def heading(self) -> str:
        """What is measured, and in what."""
        words = [_LABELS.get(self.figure, self.figure.replace("_", " ")), self.aspect, self.unit]
        return ", ".join(word for word in words if word)

    @property
    def less_is_better(self) -> bool:
        """Rates are better when higher, all else when lower; so is what an idle worker sends."""
        return self.figure == "idle_commands" or not self.unit.endswith("/s")

    def is_better(self, one: float, other: float) -> bool:
        """Whether `one` is the better value."""
        return one < other if self.less_is_better else one > other


@dataclass(frozen=True)
class Row:
    """One contender in one of its variants."""

    contender: str
    title: str
    side: Side
    cells: dict[Column, Measurement]

    @property
    def load(self) -> float:
        """The most that others used of the machine while this row was measured, 0 to 1."""
        return max((share for one in self.cells.values() for share in one.load), default=0.0)


@dataclass(frozen=True)
class Section:
    """One table of the page."""

    name: str
    columns: Sequence[Column]
    rows: Sequence[Row]

    def ranked(self, column: Column) -> list[Row]:
        """The rows that have the figure, the best first."""
        measured = [row for row in self.rows if column in row.cells]
        return sorted(measured, key=lambda row: row.cells[column].median, reverse=not column.less_is_better)


def section_of(figure: str) -> str:
    """The section that a figure belongs to."""
    if figure in _FOOTPRINT:
        return "footprint"
    return next((name for name in SECTIONS if figure == name or figure.startswith(f"{name}_")), OTHERS)


def sections(results: Results) -> dict[str, Section]:
    """Every section with at least one figure."""
    taken: dict[str, list[Measurement]] = {}
    for one in results.measurements:
        taken.setdefault(section_of(one.figure), []).append(one)
    return {name: _section(name, found) for name, found in taken.items()}


def aspect_of(one: Measurement) -> tuple[str, str]:
    """The column's part of a variant, and the rest: "tuned, 1 process" -> ("1 process", "tuned")."""
    parts = [part for part in one.variant.split(", ") if part]
    aspect = next((part for part in parts if part in _ASPECTS), "")
    return aspect, ", ".join(part for part in parts if part != aspect)


def _section(name: str, taken: Sequence[Measurement]) -> Section:
    columns: list[Column] = []
    rows: dict[tuple[str, str], Row] = {}
    for one in taken:
        aspect, label = aspect_of(one)
        column = Column(one.figure, aspect, one.unit)
        if column not in columns:
            columns.append(column)
        title = f"{one.title} ({label})" if label else one.title
        row = rows.setdefault((one.contender, label), Row(one.contender, title, side_of(one), {}))
        row.cells[column] = one
    section = Section(name, columns, list(rows.values()))
    return Section(name, columns, _ordered(section))


def _ordered(section: Section) -> list[Row]:
    """Ours, then the peers from the best on by the first column, then the limits; ours alone as taken."""
    if all(row.side is Side.OURS for row in section.rows):
        return list(section.rows)
    ranks: dict[int, int] = {}
    for column in section.columns:
        for row in section.ranked(column):
            ranks.setdefault(id(row), len(ranks))
    sides = list(Side)
    return sorted(section.rows, key=lambda row: (sides.index(row.side), ranks[id(row)]))
