"""Results in, where a peer is better than Trunkline out: each place, each peer, and by how much."""

from collections.abc import Iterator

from bench.page.contestants import OURS, Side
from bench.page.sections import SECTIONS, Column, Row, Section, sections
from bench.page.table import number
from bench.result import Measurement, Results

NOWHERE = "In no figure of this run has a peer a better median."
UNCOMPARED = "No figure of this run was taken of a peer and of Trunkline."


def where_a_peer_is_better(results: Results) -> str:
    """A list, one line for each figure, of the peers whose median is better than ours."""
    compared = [
        (section, column, row)
        for section in sections(results).values()
        for column in section.columns
        if (row := _ours(section, column)) and any(one.side is Side.PEER for one in section.ranked(column))
    ]
    if not compared:
        return UNCOMPARED
    lines = [line for place in compared for line in _line(*place)]
    return "\n".join(lines) or NOWHERE


def _ours(section: Section, column: Column) -> Row | None:
    """Our row as it runs by default: the plainest of its variants that was measured."""
    rows = [row for row in section.rows if row.contender == OURS and column in row.cells]
    return min(rows, key=lambda row: len(row.cells[column].variant), default=None)


def _line(section: Section, column: Column, our_row: Row) -> Iterator[str]:
    mine = our_row.cells[column]
    ahead = [
        _peer(row, column, mine)
        for row in section.ranked(column)
        if row.side is Side.PEER and column.is_better(row.cells[column].median, mine.median)
    ]
    if ahead:
        place = f"{SECTIONS.get(section.name, section.name)}, {column.heading}"
        yield f"- **{place}**: {our_row.title} {number(mine.median)}; {', '.join(ahead)}"


def _peer(row: Row, column: Column, mine: Measurement) -> str:
    theirs = row.cells[column]
    low, high = sorted((theirs.median, mine.median))
    ratio = f", {high / low:.2f} x" if low else ""
    overlaps = theirs.least <= mine.most and mine.least <= theirs.most
    return f"{row.title} {number(theirs.median)}{ratio}{' (the rounds overlap)' if overlaps else ''}"
