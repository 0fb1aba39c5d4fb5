"""Ticks of schedules in words."""

from datetime import UTC, datetime, timedelta
from typing import Any

from monitor.drawing.ticks import clocks, fire_words, is_notable, is_overdue, shape, summary, why
from monitor.pages.latest_ticks import Ended, worst
from monitor.pages.schedules import notable
from shared.clock import rfc3339

NOW = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)


def _tick(cause: str, *, minutes_ago: int = 0, late_s: float = 0.0) -> dict[str, Any]:
    fired = cause in {"on_time", "late", "by_hand"}
    return {
        "tick": rfc3339(NOW - timedelta(minutes=minutes_ago)),
        "decision": "fired" if fired else "skipped",
        "cause": cause,
        "late_s": late_s,
    }


def _fire(at: str, local: str, *, dst: str | None = None, meant: str | None = None) -> dict[str, Any]:
    return {"at": at, "local": local, "fires_at": at, "dst": dst, "meant": meant}


def test_a_tick_says_why_it_fired_or_did_not() -> None:
    assert why(_tick("on_time")) == "on time"
    assert why(_tick("late", late_s=200)) == "late by 3 min"
    assert why(_tick("too_late")) == "missed too long ago to catch up"
    assert why(_tick("of a later version")) == "of a later version"


def test_a_mark_tells_by_its_form_too_what_became_of_the_tick() -> None:
    marks = [shape(_tick(cause)) for cause in ("on_time", "late", "by_hand", "missed", "paused")]

    assert [mark.colour for mark in marks] == ["good", "warn", "busy", "error", "calm"]
    assert [mark.is_high for mark in marks] == [True, True, True, False, False]
    assert [mark.is_round for mark in marks] == [False, False, True, False, False]
    assert marks[3].title == "2026-03-27 12:00:00 UTC: skipped, missed: nobody was there to decide it"


def test_a_strip_is_told_to_those_who_do_not_see_it() -> None:
    assert (
        summary([_tick("on_time"), _tick("on_time"), _tick("too_late")]) == "3 ticks: 2 on time, 1 too late"
    )
    assert summary([]) == "no tick yet"


def test_what_nobody_chose_is_notable_for_a_day_the_newest_first() -> None:
    ticks = {
        "a": [
            _tick("late", minutes_ago=5),
            _tick("paused", minutes_ago=6),
            _tick("missed", minutes_ago=2_000),
        ],
        "b": [_tick("overlap", minutes_ago=1), _tick("by_hand", minutes_ago=2)],
    }

    found = notable(ticks, since=NOW - timedelta(hours=24))

    assert [(name, tick["cause"]) for name, tick in found] == [("b", "overlap"), ("a", "late")]
    assert not is_notable(_tick("on_time"))


def test_a_schedule_is_overdue_when_nobody_has_decided_its_tick() -> None:
    schedule = {"status": "active", "next_at": rfc3339(NOW), "jitter": 60}

    assert not is_overdue(schedule, NOW + timedelta(seconds=70))
    assert is_overdue(schedule, NOW + timedelta(seconds=80))
    assert not is_overdue({**schedule, "status": "paused"}, NOW + timedelta(days=1))
    assert not is_overdue({**schedule, "next_at": None}, NOW)


def test_clocks_that_are_put_are_told_in_words() -> None:
    skipped = _fire(
        "2026-03-29T01:00:00.000000Z", "2026-03-29T03:00:00+02:00", dst="skipped", meant="2026-03-29T02:30:00"
    )
    repeated = _fire("2026-10-25T00:30:00.000000Z", "2026-10-25T02:30:00+02:00", dst="repeated")

    assert clocks(skipped) == "02:30 does not exist on 29 March: fires at 03:00"
    assert clocks(repeated) == "02:30 comes twice on 25 October: this is the one at +02:00"
    assert fire_words(skipped).startswith(
        "Sun 29 Mar 2026 03:00:00 +02:00 · 2026-03-29 01:00:00 UTC · 02:30 does"
    )


def test_an_instant_that_is_shown_in_utc_is_not_shown_twice() -> None:
    fire = _fire("2026-03-29T01:00:00.000000Z", "2026-03-29T01:00:00+00:00")

    assert fire_words(fire) == "Sun 29 Mar 2026 01:00:00 UTC"


def test_the_worst_of_the_jobs_stands_for_all() -> None:
    jobs = [{"id": "a", "state": "succeeded"}, {"id": "b", "state": "dead"}, {"id": "c", "state": "running"}]

    assert worst(jobs) == Ended("dead", "b", 3)
    assert worst([]) is None
