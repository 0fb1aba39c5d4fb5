"""One column of a section in, a bar chart as SVG out: medians as bars, least and most as a line.

The same figures give the same bytes. It follows the reader's light or dark scheme.
"""

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from bench.page.sections import Column, Row
from bench.page.table import number

_WIDTH: Final = 760
_NAMES: Final = 250
_VALUES: Final = 110
_BARS: Final = _WIDTH - _NAMES - _VALUES
_STEP: Final = 24
_TOP: Final = 44
_CUT: Final = 3
"""A bar that is longer than so many times the second longest is cut, with a gap that shows it."""

_STYLE: Final = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title, text.ours { font-weight: 600 }
.unit, text.limit { fill: #59636e }
rect.ours { fill: #0969da }
rect.peer { fill: #afb8c1 }
rect.limit { fill: none; stroke: #8c959f; stroke-dasharray: 3 2 }
line { stroke: #1f2328 }
.gap { stroke: #ffffff; stroke-width: 5 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  line { stroke: #e6edf3 }
  .unit, text.limit { fill: #9198a1 }
  rect.ours { fill: #4493f8 }
  rect.peer { fill: #57606a }
  .gap { stroke: #0d1117 }
}
"""


def bars(title: str, column: Column, rows: Sequence[Row]) -> str:
    """The rows in the order in which they come."""
    height = _TOP + _STEP * len(rows) + 8
    better = "less is better" if column.less_is_better else "more is better"
    scale = _BARS / (_longest([row.cells[column].most for row in rows]) or 1)
    lines = [line for place, row in enumerate(rows) for line in _bar(place, row, column, scale)]
    head = f"{title}, {column.heading}"
    view = f'viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(head)}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {view}>',
            f"<style>{_STYLE}</style>",
            f'<text class="title" x="8" y="20">{escape(head)}</text>',
            f'<text class="unit" x="{_WIDTH - 8}" y="20" text-anchor="end">{better}</text>',
            *lines,
            "</svg>\n",
        ]
    )


def _longest(values: Sequence[float]) -> float:
    longest, *others = sorted(values, reverse=True)
    return min(longest, _CUT * others[0]) if others and others[0] else longest


def _bar(place: int, row: Row, column: Column, scale: float) -> Iterator[str]:
    one, side = row.cells[column], row.side.value
    top = _TOP + _STEP * place
    middle = top + _STEP // 2
    width = min(one.median * scale, _BARS)
    name = escape(row.title)
    yield f'<text class="{side}" x="{_NAMES - 8}" y="{middle + 4}" text-anchor="end">{name}</text>'
    yield f'<rect class="{side}" x="{_NAMES}" y="{top + 3}" width="{width:.1f}" height="{_STEP - 6}"/>'
    if one.median * scale > _BARS:
        x = _NAMES + _BARS - 40
        yield f'<line class="gap" x1="{x}" y1="{top + _STEP}" x2="{x + 12}" y2="{top}"/>'
    elif one.least < one.most:
        least, most = (_NAMES + min(value * scale, _BARS) for value in (one.least, one.most))
        yield f'<line x1="{least:.1f}" y1="{middle}" x2="{most:.1f}" y2="{middle}"/>'
    end = _NAMES + min(max(one.median, one.most) * scale, _BARS) + 8
    yield f'<text class="{side}" x="{end:.1f}" y="{middle + 4}">{number(one.median)}</text>'
