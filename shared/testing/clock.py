"""A clock that stands still: an instant in, the same instant out until somebody moves it."""

from datetime import UTC, datetime, timedelta


class StillClock:
    """Stands at the beginning of 2026 unless told otherwise."""

    def __init__(self, now: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = now

    def now(self) -> datetime:
        """The instant at which it stands."""
        return self._now

    def move(self, by: timedelta) -> None:
        """Let time pass."""
        self._now += by
