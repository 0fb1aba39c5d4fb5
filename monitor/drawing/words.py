"""Numbers and instants in, words for people out; pure."""

from datetime import UTC, datetime, timedelta
from typing import Final

from markupsafe import Markup

from shared.clock import from_rfc3339

NONE: Final = "\N{EN DASH}"

_MS_US: Final = 1_000
_S_US: Final = 1_000_000
_MINUTE_US: Final = 60 * _S_US
_HOUR_US: Final = 60 * _MINUTE_US
_UNITS: Final = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def took(duration_us: float) -> str:
    """A length of time: `850 µs`, `12.3 ms`, `1.50 s`, `2 min 5 s`."""
    whole = round(duration_us)
    if whole < _MS_US:
        return f"{whole} µs"
    if whole < _S_US:
        digits = 6 - len(str(whole))  # three figures: 1.23, 12.3, 123
        return f"{whole / _MS_US:.{digits}f} ms"
    if whole < _MINUTE_US:
        return f"{whole / _S_US:.2f} s"
    if whole < _HOUR_US:
        return f"{whole // _MINUTE_US} min {whole % _MINUTE_US // _S_US} s"
    return f"{whole // _HOUR_US} h {whole % _HOUR_US // _MINUTE_US} min"


def took_ms(duration_ms: float | None) -> str:
    """The same of milliseconds; a dash for none."""
    return took(duration_ms * _MS_US) if duration_ms is not None else NONE


def between(begin: str | None, end: str | None) -> str:
    """The length of time from one instant to another; a dash where one is missing."""
    if begin is None or end is None:
        return NONE
    return took(max((from_rfc3339(end) - from_rfc3339(begin)) / timedelta(microseconds=1), 0))


def seconds(length_s: float | None) -> str:
    """A length of time in its largest unit: `40 s`, `3 min`, `2 h`; a dash for none."""
    if length_s is None:
        return NONE
    if 0 < length_s < 1:
        return "< 1 s"
    for unit, length in _UNITS:
        if length_s >= length:
            return f"{int(length_s // length)} {unit}"
    return "0 s"


def instant(at_us: int) -> str:
    """An instant in UTC, to the millisecond; text for a clock that is out of all bounds."""
    try:
        at = datetime.fromtimestamp(at_us / _S_US, tz=UTC)
    except (OverflowError, ValueError, OSError):
        return "no valid time"
    return f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03d}"


def ago(at_us: int, now_us: int) -> str:
    """How long ago, in one unit: `just now`, `40 s ago`, `3 min ago`."""
    past_s = max(now_us - at_us, 0) // _S_US
    return f"{seconds(past_s)} ago" if past_s else "just now"


def clock(at: str | None) -> str:
    """An RFC 3339 instant as people read it, in UTC, to the second."""
    return at[:19].replace("T", " ") if at else NONE


def age(at: str | None) -> Markup:
    """An element that tells how long ago that was, or how far ahead it is; the browser keeps it true."""
    if at is None:
        return Markup("\N{EN DASH}")
    return Markup('<time datetime="{at}" title="{clock} UTC" data-age>{clock}</time>').format(
        at=at, clock=clock(at)
    )


def lasting(since: str | None) -> Markup:
    """An element that tells how long something has lasted that began then; the browser keeps it true."""
    if since is None:
        return Markup("\N{EN DASH}")
    return Markup('<time datetime="{at}" title="since {clock} UTC" data-since>{clock}</time>').format(
        at=since, clock=clock(since)
    )


def count(number: int | None) -> str:
    """A number with its thousands apart; a dash for none."""
    return f"{number:,}".replace(",", "\N{NARROW NO-BREAK SPACE}") if number is not None else NONE


def rate(per_s: float | None) -> str:
    """So many in a second; a dash for none."""
    if per_s is None:
        return NONE
    return f"{per_s:.1f}/s" if 0 < per_s < 10 else f"{per_s:.0f}/s"  # noqa: PLR2004 -- two figures are enough
