"""What becomes of due ticks under each policy: one decision for each of them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.schedules import Due, Policy, decide

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def due(*minutes_ago: float) -> list[Due]:
    instants = [NOW - timedelta(minutes=minutes) for minutes in minutes_ago]
    return [Due(instant, instant) for instant in instants]


def causes(ticks: list[Due], policy: Policy, **how: Any) -> list[str]:
    return [str(decided.cause) for decided in decide(ticks, policy, now=NOW, **how)]


@pytest.mark.parametrize(
    ("misfire", "minutes_ago", "expected"),
    [
        ("skip", (0.01,), ["on_time"]),
        ("skip", (90, 30, 10, 0.01), ["missed", "missed", "missed", "on_time"]),
        ("fire_once", (90, 30, 10), ["too_late", "superseded", "late"]),
        ("fire_once", (30, 10, 0.01), ["superseded", "superseded", "on_time"]),
        ("fire_once", (90, 61), ["too_late", "too_late"]),
        ("fire_all", (90, 30, 10, 0.01), ["too_late", "late", "late", "on_time"]),
        ("fire_once", (0.03, 0.02, 0.01), ["on_time", "on_time", "on_time"]),
    ],
)
def test_missed_ticks_are_handled_by_policy_and_window(
    misfire: Any, minutes_ago: tuple[float, ...], expected: list[str]
) -> None:
    assert causes(due(*minutes_ago), Policy(misfire, HOUR, "allow")) == expected


def test_of_more_missed_ticks_than_these_none_is_the_latest() -> None:
    assert causes(due(30, 20), Policy("fire_once", HOUR, "allow"), are_all=False) == [
        "superseded",
        "superseded",
    ]


def test_no_tick_fires_while_jobs_of_an_earlier_one_are_open() -> None:
    policy = Policy("fire_all", HOUR, "skip")

    assert causes(due(30, 20, 0.01), policy) == ["late", "overlap", "overlap"]
    assert causes(due(0.01), policy, is_open=True) == ["overlap"]
    assert causes(due(0.01), policy, is_open=False) == ["on_time"]
    assert causes(due(90), policy, is_open=True) == ["too_late"]


def test_a_paused_schedule_skips_whatever_is_due() -> None:
    assert causes(due(30, 0.01), Policy("fire_all", HOUR, "allow", is_paused=True)) == ["paused", "paused"]


def test_jitter_does_not_make_a_tick_late() -> None:
    tick = NOW - timedelta(minutes=1)

    assert causes([Due(tick, NOW)], Policy("skip", HOUR, "allow")) == ["on_time"]
