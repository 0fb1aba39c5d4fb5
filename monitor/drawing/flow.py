"""Columns of names and what leads from one to the next in, places and curves of a graph out; pure.

Places along are percent of the width, places down are pixels: words keep their size, only gaps are stretched.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

Edge = tuple[str, str]

HIGH: Final = 26
"""Of a node, in pixels."""
GAP: Final = 8
WIDE: Final = 1000
"""Units in which the curves are drawn, across all columns."""

_SWEEPS: Final = 6


@dataclass(frozen=True, slots=True)
class Node:
    """A box: percent from the left, percent wide, pixels from the top."""

    key: str
    left: float
    wide: float
    top: int

    @property
    def middle(self) -> float:
        """Pixels from the top, of its middle."""
        return self.top + HIGH / 2


@dataclass(frozen=True, slots=True)
class Curve:
    """What leads from one node to another."""

    start: str
    end: str
    path: str


@dataclass(frozen=True, slots=True)
class Graph:
    """A drawing: its nodes column by column, and the curves between them."""

    columns: Sequence[Sequence[Node]]
    curves: Sequence[Curve]
    high: int


def graph(columns: Sequence[Sequence[str]], edges: Sequence[Edge], *, wide: Sequence[float]) -> Graph:
    """Place all nodes; `wide` is each column's percent of the width, the rest are the gaps between them."""
    ordered = untangled(columns, edges)
    high = max((len(column) * (HIGH + GAP) for column in ordered), default=0)
    gap = (100 - sum(wide)) / (len(wide) - 1) if len(wide) > 1 else 0
    lefts = [sum(wide[:at]) + at * gap for at in range(len(wide))]
    placed = [
        _column(column, round(left, 2), part, high)
        for column, left, part in zip(ordered, lefts, wide, strict=True)
    ]
    nodes = {node.key: node for column in placed for node in column}
    curves = [_curve(nodes[start], nodes[end]) for start, end in edges]
    return Graph(placed, curves, high)


def untangled(columns: Sequence[Sequence[str]], edges: Sequence[Edge]) -> list[list[str]]:
    """The columns' nodes in an order with few crossings: each moves to the middle of those it is tied to."""
    tied: dict[str, list[str]] = {}
    for start, end in edges:
        tied.setdefault(start, []).append(end)
        tied.setdefault(end, []).append(start)
    now = [list(column) for column in columns]
    best, fewest = [list(column) for column in now], crossings(now, edges)
    for sweep in range(_SWEEPS):
        turn = range(len(now)) if sweep % 2 == 0 else range(len(now) - 1, -1, -1)
        for at in turn:
            now[at] = _towards(now[at], _places([*now[:at], *now[at + 1 :]]), tied)
        count = crossings(now, edges)
        if count < fewest:
            best, fewest = [list(column) for column in now], count
    return best


def crossings(columns: Sequence[Sequence[str]], edges: Sequence[Edge]) -> int:
    """How many pairs of edges between the same two columns cross."""
    place = {key: (column, row) for column, keys in enumerate(columns) for row, key in enumerate(keys)}
    between: dict[int, list[tuple[int, int]]] = {}
    for start, end in edges:
        column, row = place[start]
        between.setdefault(column, []).append((row, place[end][1]))
    return sum(
        (one[0] - other[0]) * (one[1] - other[1]) < 0
        for rows in between.values()
        for one, other in combinations(rows, 2)
    )


def _places(columns: Sequence[Sequence[str]]) -> Mapping[str, float]:
    """Where each node stands in its column, from 0 to 1."""
    return {key: (row + 0.5) / len(keys) for keys in columns for row, key in enumerate(keys)}


def _towards(
    column: Sequence[str], places: Mapping[str, float], tied: Mapping[str, Sequence[str]]
) -> list[str]:
    own = _places([column])

    def middle(key: str) -> float:
        around = [places[other] for other in tied.get(key, ()) if other in places]
        return sum(around) / len(around) if around else own[key]

    return sorted(column, key=middle)


def _column(keys: Sequence[str], left: float, wide: float, high: int) -> list[Node]:
    """Spread over the whole height."""
    room = high / len(keys) if keys else 0
    return [Node(key, left, wide, round(row * room + (room - HIGH) / 2)) for row, key in enumerate(keys)]


def _curve(start: Node, end: Node) -> Curve:
    left, right = (start.left + start.wide) * WIDE / 100, end.left * WIDE / 100
    bend = (left + right) / 2
    rest = f"{bend:g} {end.middle:g} {right:g} {end.middle:g}"
    return Curve(start.key, end.key, f"M{left:g} {start.middle:g}C{bend:g} {start.middle:g} {rest}")
