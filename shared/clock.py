"""The time, as the one thing that a test may hold still: aware UTC instants out."""

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What a part of the system asks for the time."""

    def now(self) -> datetime:
        """The instant, aware and in UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The instant, aware and in UTC."""
        return datetime.now(UTC)


def rfc3339(instant: datetime) -> str:
    """The instant as RFC 3339 in UTC, e.g. `2026-11-22T06:00:00.000000Z`."""
    utc = instant if instant.tzinfo is UTC else instant.astimezone(UTC)
    return utc.isoformat(timespec="microseconds")[: -len("+00:00")] + "Z"


def from_rfc3339(text: str) -> datetime:
    """The aware instant that RFC 3339 text names; ValueError when it is none or names no offset."""
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"{text!r} names no offset from UTC")
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{text!r} is before the year 1 or after 9999 in UTC") from None
