"""Which trace this code runs in: W3C `traceparent` in and out, known even where nothing is recorded.

https://www.w3.org/TR/trace-context/#traceparent-header
"""

import re
from contextvars import ContextVar, Token
from random import getrandbits
from typing import Final

_FORMAT: Final = re.compile(
    r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
)
_VERSION: Final = "00"
_NOT_SAMPLED: Final = "00"

_current: ContextVar[str | None] = ContextVar("trunkline_traceparent", default=None)


def current_traceparent() -> str | None:
    """The context of the span that runs now; None outside any."""
    return _current.get()


def new_traceparent() -> str:
    """The start of a trace of its own, not sampled: nobody recorded this span."""
    return f"00-{_random_id(128):032x}-{_random_id(64):016x}-{_NOT_SAMPLED}"


def trace_id_of(traceparent: str | None) -> str | None:
    """The 32 hex digits that name the trace; None for no traceparent or one that breaks the format."""
    valid = parse(traceparent)
    return valid[3:35] if valid else None


def parse(traceparent: str | None) -> str | None:
    """`traceparent` as version 00; None when it breaks the format, which starts a new trace as the spec asks.

    A later version is read by its first four fields, as the spec asks too.
    """
    if traceparent is None:
        return None
    match = _FORMAT.fullmatch(traceparent)
    if match is None:
        return None
    version, trace_id, span_id, flags, rest = match.groups()
    if version == _VERSION:
        return None if rest else traceparent
    return f"{_VERSION}-{trace_id}-{span_id}-{flags}"


def is_sampled(traceparent: str) -> bool:
    """Whether the caller may have recorded its span; `traceparent` must have passed `parse`."""
    return traceparent[54] in "13579bdf"  # the lowest bit of the flags


def child_of(traceparent: str) -> str:
    """The same trace with a fresh span id."""
    return f"{traceparent[:36]}{_random_id(64):016x}{traceparent[52:]}"


def enter(traceparent: str) -> Token[str | None]:
    """Make `traceparent` the current one until `leave`."""
    return _current.set(traceparent)


def leave(token: Token[str | None]) -> None:
    """Give the context back to what surrounded it."""
    _current.reset(token)


def _random_id(bits: int) -> int:
    # The format forbids zero. This is no secret, so it is not from `secrets`, which costs ten times more.
    return getrandbits(bits) or 1
