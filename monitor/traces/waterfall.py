"""The spans of one trace in, the rows of its drawing out: who under whom, where on the axis; pure."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from monitor.traces.span import Span
from shared.telemetry.names import TRUNKLINE_JOB_ID

ROWS_MAX = 1_000
"""The most spans that are drawn; the whole trace is in the query API."""

DEPTH_DRAWN_MAX = 12
COLOURS = 8

_TICKS = 4
_NARROWEST = 0.4  # % of the axis: a shorter bar could not be seen


@dataclass(frozen=True)
class Row:
    """A span in its place; `left` and `width` are % of the axis."""

    span: Span
    depth: int
    offset_us: int
    left: float
    width: float
    colour: int
    is_orphan: bool

    @property
    def job_id(self) -> str | None:
        """The job that the span is of, where it is of one."""
        return next((str(tag.value) for tag in self.span.details.tags if tag.key == TRUNKLINE_JOB_ID), None)

    @property
    def indent(self) -> int:
        """How far the name is moved to the right, in steps."""
        return min(self.depth, DEPTH_DRAWN_MAX)

    @property
    def label_is_left(self) -> bool:
        """Whether the room for the duration is before the bar."""
        return self.left + self.width > 82  # noqa: PLR2004 -- % of the axis that leaves no room for "123 ms"

    @property
    def label_at(self) -> float:
        """Where the text of the duration begins, or ends when it is left of the bar."""
        return self.left - 0.6 if self.label_is_left else self.left + self.width + 0.6


@dataclass(frozen=True)
class Tick:
    """A mark on the time axis."""

    at: float
    offset_us: int


@dataclass(frozen=True)
class Waterfall:
    """A trace, ready to be drawn; `services` are in the order of their first span, with their colours."""

    rows: Sequence[Row]
    ticks: Sequence[Tick]
    services: Sequence[tuple[str, int]]
    start_us: int
    duration_us: int
    spans: int
    errors: int

    @property
    def left_out(self) -> int:
        """How many spans are not drawn."""
        return self.spans - len(self.rows)


def waterfall(spans: Sequence[Span]) -> Waterfall:
    """The drawing of a trace that has at least one span; `spans` are in the order of their start."""
    start_us = min(span.start_us for span in spans)
    duration_us = max(span.end_us for span in spans) - start_us
    colours: dict[str, int] = {}
    for span in spans:
        colours.setdefault(span.resource.service, len(colours) % COLOURS)
    known = {span.span_id for span in spans}
    rows: list[Row] = []
    for span, depth in _in_tree_order(spans, known):
        if len(rows) == ROWS_MAX:
            break
        offset_us = span.start_us - start_us
        width = max(100 * span.duration_us / (duration_us or 1), _NARROWEST)
        rows.append(
            Row(
                span=span,
                depth=depth,
                offset_us=offset_us,
                left=round(min(100 * offset_us / (duration_us or 1), 100 - min(width, 100)), 3),
                width=round(min(width, 100), 3),
                colour=colours[span.resource.service],
                is_orphan=span.parent_id is not None and span.parent_id not in known,
            )
        )
    return Waterfall(
        rows=rows,
        ticks=[Tick(100 * step / _TICKS, duration_us * step // _TICKS) for step in range(_TICKS + 1)],
        services=list(colours.items()),
        start_us=start_us,
        duration_us=duration_us,
        spans=len(spans),
        errors=sum(span.is_error for span in spans),
    )


def _in_tree_order(spans: Sequence[Span], known: set[bytes]) -> Iterable[tuple[Span, int]]:
    """Each span once, after its parent, with its depth; children by start.

    Spans whose parents go in a circle, which only a faulty sender makes, have no root: they come last.
    """
    children: dict[bytes | None, list[Span]] = defaultdict(list)
    for span in spans:
        children[span.parent_id if span.parent_id in known else None].append(span)
    seen: set[bytes] = set()
    for first in (*children[None], *spans):
        waiting = [(first, 0)]
        while waiting:  # a stack, for a chain may be deeper than Python recurses
            span, depth = waiting.pop()
            if span.span_id in seen:
                continue
            seen.add(span.span_id)
            yield span, depth
            waiting.extend((child, depth + 1) for child in reversed(children[span.span_id]))
