"""Days, and the instants between which they lie."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from report_service.period import NotAPeriod, Period, day_before, week_before

UTC_ZONE, BERLIN = ZoneInfo("UTC"), ZoneInfo("Europe/Berlin")


def hours(day: date, zone: str) -> float:
    period = Period.of(day, day, ZoneInfo(zone), most_days=1)
    return (period.end - period.begin) / timedelta(hours=1)


@pytest.mark.parametrize(
    ("day", "zone", "long"),
    [
        (date(2026, 11, 1), "UTC", 24),
        (date(2026, 3, 29), "Europe/Berlin", 23),
        (date(2026, 10, 25), "Europe/Berlin", 25),
        (date(2026, 10, 4), "Australia/Lord_Howe", 23.5),
        (date(2018, 11, 4), "America/Sao_Paulo", 23),  # there was no midnight
        (date(2026, 11, 1), "America/Havana", 25),  # midnight came twice
    ],
)
def test_a_day_is_as_long_as_its_clocks_make_it(day: date, zone: str, long: float) -> None:
    assert hours(day, zone) == long


def test_days_follow_each_other_without_gap_or_overlap() -> None:
    period = Period.of(date(2026, 1, 1), date(2026, 12, 31), BERLIN, most_days=366)

    starts = [*period.starts, period.end]

    assert len(period.days) == 365
    assert starts[0] == period.begin == datetime(2025, 12, 31, 23, tzinfo=UTC)
    assert {(b - a) / timedelta(hours=1) for a, b in pairwise(starts)} == {23, 24, 25}


@pytest.mark.parametrize(
    ("tick", "zone", "day"),
    [
        (datetime(2026, 11, 23, 6, tzinfo=UTC), UTC_ZONE, date(2026, 11, 22)),
        (datetime(2027, 1, 1, 0, tzinfo=UTC), UTC_ZONE, date(2026, 12, 31)),
        (datetime(2026, 12, 31, 23, 30, tzinfo=UTC), BERLIN, date(2026, 12, 31)),  # 2027 in Berlin
        (datetime(2026, 3, 28, 23, 30, tzinfo=UTC), BERLIN, date(2026, 3, 28)),
        (datetime(2026, 10, 25, 22, 30, tzinfo=UTC), BERLIN, date(2026, 10, 24)),
        (datetime(2028, 3, 1, 6, tzinfo=UTC), UTC_ZONE, date(2028, 2, 29)),
    ],
)
def test_the_day_before_a_tick_is_that_of_the_zone(tick: datetime, zone: ZoneInfo, day: date) -> None:
    assert day_before(tick, zone) == (day, day)


@pytest.mark.parametrize(
    ("tick", "monday"),
    [
        (datetime(2026, 11, 23, 9, tzinfo=UTC), date(2026, 11, 16)),  # on a Monday
        (datetime(2026, 11, 29, 23, tzinfo=UTC), date(2026, 11, 16)),  # on the Sunday after
        (datetime(2027, 1, 4, 9, tzinfo=UTC), date(2026, 12, 28)),  # the week of the year's end
    ],
)
def test_the_week_before_a_tick_is_monday_to_sunday(tick: datetime, monday: date) -> None:
    assert week_before(tick, UTC_ZONE) == (monday, monday + timedelta(days=6))


@pytest.mark.parametrize(
    ("first", "last", "why"),
    [
        (date(2026, 1, 1), date(2027, 1, 2), "367 days"),
        (date(1, 1, 1), date(1, 1, 1), "between 1970"),
        (date(9999, 12, 31), date(9999, 12, 31), "9998"),
    ],
)
def test_what_no_report_can_be_about_is_refused(first: date, last: date, why: str) -> None:
    with pytest.raises(NotAPeriod, match=why):
        Period.of(first, last, BERLIN, most_days=366)
