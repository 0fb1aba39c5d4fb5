"""Spans of time in, their places on one common axis out, in hundredths of its length; pure."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from shared.clock import from_rfc3339

_SHORTEST: Final = 3
"""What is shorter could not be seen."""


class Place(NamedTuple):
    """Where a span lies on the axis: from 0 to 100."""

    left: int
    width: int


def places(spans: Sequence[tuple[str, str]]) -> list[Place]:
    """Each span's place on the axis from the first begin to the last end; instants are RFC 3339."""
    if not spans:
        return []
    instants = [(from_rfc3339(begin).timestamp(), from_rfc3339(end).timestamp()) for begin, end in spans]
    first = min(begin for begin, _ in instants)
    length = max(end for _, end in instants) - first
    return [_place(begin - first, end - first, length) for begin, end in instants]


def _place(begin: float, end: float, length: float) -> Place:
    if length <= 0:
        return Place(0, 100)
    width = max(round((end - begin) / length * 100), _SHORTEST)
    return Place(min(round(begin / length * 100), 100 - width), width)
