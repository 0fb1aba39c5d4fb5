"""Instants for people: RFC 3339 in, "2026-11-22 06:00:00Z (3 min ago)" out; "15m" in, RFC 3339 out."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from launcher.operate.errors import Misused
from shared.clock import from_rfc3339, rfc3339

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SPAN: Final = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)([smhdw])")
_STEPS: Final = ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h"), (float("inf"), 86_400, "days"))


class Instant(str):
    """An instant as the API writes it."""

    __slots__ = ()

    def full(self) -> str:
        """To the second, with its distance from now."""
        at = from_rfc3339(self)
        return f"{at:%Y-%m-%d %H:%M:%SZ} ({distance(at, datetime.now(UTC))})"

    def short(self) -> str:
        """The distance from now alone."""
        return distance(from_rfc3339(self), datetime.now(UTC))


def instant(text: Any) -> Instant | None:
    """None stays None."""
    return Instant(text) if text else None


def distance(at: datetime, now: datetime) -> str:
    """`3 min ago`, `in 2 h`."""
    seconds = (now - at).total_seconds()
    said = _span(abs(seconds))
    if said == "0 s":
        return "now"
    return f"{said} ago" if seconds > 0 else f"in {said}"


def took(begun: Any, ended: Any) -> str | None:
    """How long it was from one instant to the other; None when one is missing."""
    if not begun or not ended:
        return None
    seconds = (from_rfc3339(ended) - from_rfc3339(begun)).total_seconds()
    return f"{seconds:.2f} s" if abs(seconds) < 10 else _span(seconds)  # noqa: PLR2004 - as many digits as help


def past(text: str | None, option: str) -> str | None:
    """`15m` as the instant 15 minutes ago; RFC 3339 stays what it is."""
    return _moment(text, option, -1)


def coming(text: str | None, option: str) -> str | None:
    """`15m` as the instant in 15 minutes; RFC 3339 stays what it is."""
    return _moment(text, option, 1)


def _moment(text: str | None, option: str, direction: int) -> str | None:
    if text is None:
        return None
    try:
        if span := _SPAN.fullmatch(text.strip()):
            length = timedelta(**{_UNITS[span[2]]: float(span[1])})
            return rfc3339(datetime.now(UTC) + direction * length)
        return rfc3339(from_rfc3339(text))
    except (ValueError, OverflowError):
        raise Misused(
            f"{option} {text}: give a length of time as 15m, 2h, 1d, or RFC 3339 as {_example()}"
        ) from None


def _example() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _span(seconds: float) -> str:
    limit_step = next(step for step in _STEPS if seconds < step[0])
    _, length, unit = limit_step
    return f"{seconds // length:.0f} {unit}"
