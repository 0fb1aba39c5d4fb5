"""When a schedule fires: a cron expression or a period and a time zone in, instants in UTC out. Pure.

A cron expression that names hours speaks of times of day, each of which comes once a day: one that the
clocks skip in spring fires at the instant at which they jump, one that they repeat in autumn fires the first
time. An expression for every hour speaks of the clock's hands: it fires whenever they stand so, in the
repeated hour again, and in the skipped one not at all, for as much time has passed as between any two others.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final, Literal, NamedTuple
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

SHORTEST_PERIOD: Final = timedelta(seconds=1)
LONGEST_PERIOD: Final = timedelta(days=366)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_YEAR: Final = 9998  # the calendar of datetime ends with 9999, and a zone may be a day ahead
_FIELDS: Final = 5
_HOURS: Final = 24
# No zone has ever put its clocks by more than that: Samoa left out a day.
_LONGEST_SHIFT: Final = timedelta(hours=26)
_NAMESPACE: Final = UUID("6b0f4a39-6a0e-5b6e-9d65-0c0b6f6d4f0e")

Dst = Literal["skipped", "repeated"]


class TimingError(ValueError):
    """No such times: `field` is what is wrong with the schedule."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(why)
        self.field = field


class Fire(NamedTuple):
    """One time that a schedule fires."""

    at: datetime
    """The tick: aware, in UTC."""
    dst: Dst | None = None
    """`skipped`: the local time that was meant does not exist that day; `repeated`: it exists twice."""
    meant: datetime | None = None
    """The local time that does not exist, without offset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """The times of a schedule; either `cron` or `every`. TimingError for what can be no times."""

    cron: str | None = None
    every: timedelta | None = None
    """A period, counted from `starts_at`, without it from 1970 in UTC: every 5 min is at :00, :05, ..."""
    timezone: str = "UTC"
    starts_at: datetime | None = None
    """The first instant that may be a tick."""
    ends_at: datetime | None = None
    """The last one."""

    def __post_init__(self) -> None:
        zone_of(self.timezone)
        if (self.cron is None) == (self.every is None):
            raise TimingError("cron", "give either cron or every")
        if self.cron is not None:
            _check_cron(self.cron)
        if self.every is not None and not SHORTEST_PERIOD <= self.every <= LONGEST_PERIOD:
            raise TimingError("every", f"must be from {SHORTEST_PERIOD} to {LONGEST_PERIOD.days} days")
        if self.starts_at and self.ends_at and self.ends_at < self.starts_at:
            raise TimingError("ends_at", "is before starts_at")

    def after(self, instant: datetime) -> Iterator[Fire]:
        """The fires after that instant, in order; none after `ends_at`."""
        if self.starts_at is not None and instant < self.starts_at:
            instant = self.starts_at - timedelta(microseconds=1)
        for fire in self._periods(instant) if self.every else self._crons(instant):
            if (self.ends_at is not None and fire.at > self.ends_at) or fire.at.year > _LAST_YEAR:
                return
            yield fire

    def first_after(self, instant: datetime) -> datetime | None:
        """The next tick; None when there is none any more."""
        return next((fire.at for fire in self.after(instant)), None)

    def _periods(self, instant: datetime) -> Iterator[Fire]:
        period, anchor = self.every or SHORTEST_PERIOD, self.starts_at or _EPOCH
        tick = anchor + ((instant - anchor) // period + 1) * period
        while True:
            yield Fire(tick)
            tick += period

    def _crons(self, instant: datetime) -> Iterator[Fire]:
        zone, cron = zone_of(self.timezone), self.cron or ""
        begin = _local(instant, zone)
        around = _local(instant + _LONGEST_SHIFT, zone) - _local(instant - _LONGEST_SHIFT, zone)
        if around != 2 * _LONGEST_SHIFT:
            # The clocks are put about now: an earlier local time may belong to an instant to come.
            begin -= _LONGEST_SHIFT
        fires = _by_the_hands if _is_of_every_hour(cron) else _by_the_day
        last = instant
        for fire in fires(cron, begin, zone):
            if fire.at > last:
                last = fire.at
                yield fire


def jitter_of(schedule: str, tick: datetime, most: timedelta) -> timedelta:
    """How much later than its tick the schedule fires: the same on every replica, at random otherwise."""
    return most * (event_id(schedule, tick).int % 1_000_000 / 1_000_000)


def event_id(schedule: str, tick: datetime) -> UUID:
    """The id of a tick's event, which is what makes a second one of the same tick a copy."""
    return uuid5(_NAMESPACE, f"{schedule} {tick.astimezone(UTC).isoformat()}")


def zone_of(name: str) -> ZoneInfo:
    """The zone of the IANA name; TimingError when there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise TimingError("timezone", f"{name!r} is no IANA time zone, as Europe/Warsaw is one") from None


def _check_cron(cron: str) -> None:
    fields = len(cron.split())
    if fields != _FIELDS:
        raise TimingError("cron", f"has {fields} fields, not minute, hour, day, month and weekday")
    try:
        found = list(islice(CronSim(cron, _EPOCH.replace(tzinfo=None)), 1))
    except CronSimError as error:
        raise TimingError("cron", str(error).replace("Bad", "no such")) from None
    if not found:
        raise TimingError("cron", "never comes: no such date exists")


def _is_of_every_hour(cron: str) -> bool:
    return len(CronSim(cron, _EPOCH.replace(tzinfo=None)).hours) == _HOURS


def _by_the_day(cron: str, begin: datetime, zone: ZoneInfo) -> Iterator[Fire]:
    """Each local time once: what is skipped at the jump, what is repeated the first time."""
    for local in CronSim(cron, begin):
        first, second = _instants(local, zone)
        if second < first:
            yield Fire(_jump(second, first, zone), "skipped", local)
        else:
            yield Fire(first, "repeated" if second > first else None)


def _by_the_hands(cron: str, begin: datetime, zone: ZoneInfo) -> Iterator[Fire]:
    """Whenever the clock shows a matching time: what is skipped never, what is repeated twice."""
    again: list[datetime] = []  # in the repeated hour every second fire comes after all first ones
    for local in CronSim(cron, begin):
        first, second = _instants(local, zone)
        if second < first:
            continue
        while again and again[0] < first:
            yield Fire(heapq.heappop(again), "repeated")
        yield Fire(first, "repeated" if second > first else None)
        if second > first:
            heapq.heappush(again, second)


def _instants(local: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The instants of a local time by the offset before and after a change; PEP 495.

    They are one where no change is near; of a skipped time the second is the earlier one.
    """
    first = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    return first, local.replace(tzinfo=zone, fold=1).astimezone(UTC)


def _jump(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The instant between the two at which the zone's clocks are put, to the second."""
    offset = after.astimezone(zone).utcoffset()
    low, high = 0, int((after - before).total_seconds())
    while high - low > 1:
        middle = (low + high) // 2
        if (before + timedelta(seconds=middle)).astimezone(zone).utcoffset() == offset:
            high = middle
        else:
            low = middle
    return before + timedelta(seconds=high)


def _local(instant: datetime, zone: ZoneInfo) -> datetime:
    return instant.astimezone(zone).replace(tzinfo=None)
