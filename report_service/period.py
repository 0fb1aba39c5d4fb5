"""Days in, the instants between which they lie out; and which days a schedule's tick is about."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from shared.errors import TrunklineError

FIRST = date(1970, 1, 1)
LAST = date(9998, 12, 31)

_DAY = timedelta(days=1)


class NotAPeriod(TrunklineError):
    """These days cannot be reported about; the message says why."""


@dataclass(frozen=True, slots=True)
class Period:
    """The days from `first_day` to `last_day`, both included, in a time zone."""

    first_day: date
    last_day: date
    zone: ZoneInfo

    @classmethod
    def of(cls, first_day: date, last_day: date, zone: ZoneInfo, *, most_days: int) -> "Period":
        """The period; NotAPeriod when it is too long, or lies where no calendar of ours reaches."""
        if first_day < FIRST or last_day > LAST:
            raise NotAPeriod(f"the days must lie between {FIRST} and {LAST}")
        days = (last_day - first_day).days + 1
        if days > most_days:
            raise NotAPeriod(f"{days} days are more than the {most_days} that one report may be about")
        return cls(first_day, last_day, zone)

    @property
    def days(self) -> Sequence[date]:
        """Each of its days."""
        return [self.first_day + n * _DAY for n in range((self.last_day - self.first_day).days + 1)]

    @property
    def starts(self) -> Sequence[datetime]:
        """When each of its days begins, in UTC; a day has 23, 24 or 25 hours."""
        return [_start(day, self.zone) for day in self.days]

    @property
    def begin(self) -> datetime:
        """Its first instant."""
        return _start(self.first_day, self.zone)

    @property
    def end(self) -> datetime:
        """The first instant after it."""
        return _start(self.last_day + _DAY, self.zone)


def day_before(tick: datetime, zone: ZoneInfo) -> tuple[date, date]:
    """The day before the one in which the tick lies."""
    day = tick.astimezone(zone).date() - _DAY
    return day, day


def week_before(tick: datetime, zone: ZoneInfo) -> tuple[date, date]:
    """Monday to Sunday of the week before the one in which the tick lies."""
    today = tick.astimezone(zone).date()
    monday = today - timedelta(days=today.weekday() + 7)
    return monday, monday + 6 * _DAY


def _start(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of the day.

    Where clocks skip midnight that is the moment at which they do; where midnight comes twice, the first.
    """
    return datetime.combine(day, time.min, tzinfo=zone).astimezone(UTC)
