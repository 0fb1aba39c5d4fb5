"""The instants of schedules: where the clocks are put, each local time comes once, and each hour goes on."""

from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo, available_timezones

import pytest

from shared.schedules.times import Timing, TimingError, jitter_of, zone_of

WARSAW, NEW_YORK, LORD_HOWE = "Europe/Warsaw", "America/New_York", "Australia/Lord_Howe"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def fires(timing: Timing, after: str, count: int) -> list[str]:
    """`29 03:00+02:00 skipped`: the day, the local time with its offset, and what is special."""
    found: list[str] = []
    for fire in islice(timing.after(at(after)), count):
        local = fire.at.astimezone(zone_of(timing.timezone))
        clock = f"{local:%d %H:%M}{local.isoformat()[19:]}"
        found.append(f"{clock} {fire.dst}" if fire.dst else clock)
    return found


@pytest.mark.parametrize(
    ("zone", "cron", "after", "expected"),
    [
        # Spring: a local time that does not exist fires once, at the instant of the jump.
        (
            WARSAW,
            "30 2 * * *",
            "2026-03-28T00:00",
            "28 02:30+01:00 | 29 03:00+02:00 skipped | 30 02:30+02:00",
        ),
        (
            NEW_YORK,
            "15 2 * * *",
            "2026-03-07T00:00",
            "07 02:15-05:00 | 08 03:00-04:00 skipped | 09 02:15-04:00",
        ),
        (
            LORD_HOWE,
            "15 2 * * *",
            "2026-10-02T14:00",
            "03 02:15+10:30 | 04 02:30+11:00 skipped | 05 02:15+11:00",
        ),
        # Several of one skipped hour, and what is due at the jump itself, are one.
        (
            WARSAW,
            "*/20 2-3 * * *",
            "2026-03-29T00:30",
            "29 03:00+02:00 skipped | 29 03:20+02:00 | 29 03:40+02:00",
        ),
        # Autumn: a local time that comes twice fires the first time.
        (WARSAW, "30 2 * * *", "2026-10-24T12:00", "25 02:30+02:00 repeated | 26 02:30+01:00"),
        (NEW_YORK, "30 1 * * *", "2026-10-31T12:00", "01 01:30-04:00 repeated | 02 01:30-05:00"),
        (LORD_HOWE, "45 1 * * *", "2026-04-04T00:00", "05 01:45+11:00 repeated | 06 01:45+10:30"),
        # Every hour: as much time between any two, in the repeated hour again.
        (WARSAW, "0 * * * *", "2026-03-28T23:30", "29 01:00+01:00 | 29 03:00+02:00 | 29 04:00+02:00"),
        (
            WARSAW,
            "*/30 * * * *",
            "2026-10-24T23:59",
            "25 02:00+02:00 repeated | 25 02:30+02:00 repeated | 25 02:00+01:00 repeated",
        ),
        (
            NEW_YORK,
            "30 * * * *",
            "2026-11-01T05:00",
            "01 01:30-04:00 repeated | 01 01:30-05:00 repeated | 01 02:30-05:00",
        ),
        (
            LORD_HOWE,
            "45 * * * *",
            "2026-04-04T14:30",
            "05 01:45+11:00 repeated | 05 01:45+10:30 repeated | 05 02:45+10:30",
        ),
        # A whole day that a zone left out.
        (
            "Pacific/Apia",
            "0 12 * * *",
            "2011-12-29T12:00",
            "29 12:00-10:00 | 31 00:00+14:00 skipped | 31 12:00+14:00",
        ),
    ],
)
def test_local_times_around_a_change_of_the_clocks(zone: str, cron: str, after: str, expected: str) -> None:
    found = fires(Timing(cron=cron, timezone=zone), after, expected.count("|") + 1)

    assert " | ".join(found) == expected


@pytest.mark.parametrize(
    "cron", ["30 2 * * *", "0 * * * *", "*/20 1-3 * * *", "45 1,2 * * SUN", "*/7 * * * *"]
)
@pytest.mark.parametrize("zone", [WARSAW, NEW_YORK, LORD_HOWE])
def test_the_fires_do_not_depend_on_where_one_begins_to_look(zone: str, cron: str) -> None:
    timing = Timing(cron=cron, timezone=zone)
    for day in ("2026-03-28", "2026-10-24", "2026-03-07", "2026-10-31", "2026-04-04", "2026-10-03"):
        begin, end = at(day), at(day) + timedelta(days=3)
        whole = [fire for fire in islice(timing.after(begin), 2000) if fire.at < end]

        for minutes in range(0, 3 * 24 * 60, 83):
            instant = begin + timedelta(minutes=minutes, seconds=17)
            after = [fire for fire in whole if fire.at > instant][:3]

            assert list(islice(timing.after(instant), len(after))) == after


def test_every_day_has_each_time_of_day_once_in_every_zone_for_years() -> None:
    for zone in sorted(available_timezones())[::80]:
        local, clock = ZoneInfo(zone), Timing(cron="15 2 * * *", timezone=zone)
        ticks = [fire.at for fire in islice(clock.after(at("2020-01-01T12:00")), 2000)]

        days = [tick.astimezone(local).date() for tick in ticks]
        assert days == [days[0] + timedelta(days=n) for n in range(2000)], zone


def test_a_period_is_counted_from_its_start_or_from_the_epoch() -> None:
    five = timedelta(minutes=5)

    assert fires(Timing(every=five), "2026-01-01T00:00:01", 2) == ["01 00:05+00:00", "01 00:10+00:00"]
    assert fires(Timing(every=five), "2026-01-01T00:05", 1) == ["01 00:10+00:00"]
    assert fires(Timing(every=five, starts_at=at("2026-01-01T00:02")), "2025-01-01T00:00", 2) == [
        "01 00:02+00:00",
        "01 00:07+00:00",
    ]


def test_nothing_fires_before_the_start_or_after_the_end() -> None:
    timing = Timing(cron="0 12 * * *", starts_at=at("2026-05-02T12:00"), ends_at=at("2026-05-03T12:00"))

    assert fires(timing, "2026-01-01T00:00", 9) == ["02 12:00+00:00", "03 12:00+00:00"]
    assert timing.first_after(at("2026-05-03T12:00")) is None


def test_jitter_is_the_same_on_every_replica_and_within_its_bound() -> None:
    ticks = [at("2026-01-01T00:00") + timedelta(minutes=n) for n in range(200)]
    jitters = [jitter_of("a", tick, timedelta(seconds=60)) for tick in ticks]

    assert jitters == [jitter_of("a", tick, timedelta(seconds=60)) for tick in ticks]
    assert all(timedelta(0) <= jitter < timedelta(seconds=60) for jitter in jitters)
    assert len(set(jitters)) > 190


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "cron"),
        ({"cron": "* * * * *", "every": timedelta(seconds=1)}, "cron"),
        ({"cron": "0 0 30 2 *"}, "cron"),
        ({"every": timedelta(milliseconds=999)}, "every"),
        ({"cron": "* * * * *", "timezone": "Nowhere"}, "timezone"),
    ],
)
def test_what_can_be_no_times_is_refused(fields: dict[str, object], field: str) -> None:
    with pytest.raises(TimingError) as refused:
        Timing(**fields)  # pyright: ignore[reportArgumentType] - this is what the test is about

    assert refused.value.field == field
