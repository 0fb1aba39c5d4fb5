"""What is wrong, and in which words."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from monitor.pages import health
from monitor.pages.figures import Track, Version
from monitor.pages.handler_now import HandlerNow, handlers_now
from shared.clock import rfc3339

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
DEFAULTS = {"concurrency": None, "worker_concurrency": 4, "rate": None}


def handler(name: str = "email.send", **changes: Any) -> HandlerNow:
    """A handler at rest, with one worker of four places; and what is different about it."""
    facts: dict[str, Any] = {
        "name": name,
        "service": name.partition(".")[0],
        "event_type": "email.requested",
        "version": "1",
        "description": "",
        "registered_at": rfc3339(NOW),
        "paused": False,
        "note": None,
        "since": None,
        "workers": 1,
        "running": 0,
        "retrying": 0,
        "dead": 0,
        **DEFAULTS,
        "defaults": DEFAULTS,
        "max_attempts": 5,
        "time_limit_s": 30.0,
        "queued": 0,
        "oldest_at": None,
        "oldest_age_s": None,
        "started_per_s": 0.0,
        "ended_per_s": 0.0,
        "causes": (),
        "track": None,
    }
    return HandlerNow(**(facts | changes))


def waiting(name: str = "email.send", *, for_s: float, **changes: Any) -> HandlerNow:
    return handler(name, queued=3, oldest_age_s=for_s, oldest_at=rfc3339(NOW), **changes)


def track(succeeded: list[int], failed: list[int]) -> Track:
    nothing: list[float | None] = [None] * len(succeeded)
    return Track(
        succeeded=succeeded,
        failed=failed,
        wait_p50_ms=nothing,
        wait_p95_ms=nothing,
        run_p50_ms=nothing,
        run_p95_ms=nothing,
        total={"dead": 0},
    )


@pytest.mark.parametrize(("for_s", "level"), [(59, "ok"), (60, "warning"), (299, "warning"), (300, "fault")])
def test_the_longer_the_oldest_job_waits_the_worse(for_s: float, level: str) -> None:
    found = health.oldest_waiting([handler(), waiting("file.process", for_s=for_s)])

    assert (found.level, found.why, found.link) == (level, "of file.process", "/handlers/file.process")


def test_what_waits_for_a_paused_handler_is_no_late_work() -> None:
    found = health.oldest_waiting([waiting(for_s=9_999, paused=True)])

    assert (found.level, found.why) == ("ok", "nothing waits")


def test_a_number_that_nobody_could_tell_is_a_warning_and_no_zero() -> None:
    unknown = [handler("email.send", queued=None)]

    for found in (
        health.oldest_waiting(unknown),
        health.waiting(unknown),
        health.stalled([], unknown),
        health.oldest_waiting([*unknown, handler("file.process")]),
    ):
        assert (found.level, found.number) == ("warning", None)
    assert health.oldest_waiting(unknown).why == "not known"
    assert health.waiting([*unknown, handler("file.process")]).why == "at least: not known of email.send"
    assert health.failing(unknown, is_known=False).number is None
    assert health.dead(None).level == "warning"
    assert health.late_schedules(None, now=NOW).level == "warning"


@pytest.mark.parametrize(
    ("changes", "level", "why"),
    [
        ({"workers": 0}, "fault", "no worker of email is alive"),
        ({"workers": 0, "paused": True}, "fault", "no worker of email is alive"),
        ({"paused": True, "note": "relay moves"}, "warning", "paused: relay moves"),
        ({"running": 4}, "warning", "all its 4 places are taken by jobs that run long"),
        ({"running": 1, "concurrency": 1}, "warning", "its one place is taken by jobs that run long"),
        ({}, "fault", "no job started in the last minute, though 1 worker is alive"),
        ({"workers": 2}, "fault", "no job started in the last minute, though 2 workers are alive"),
    ],
)
def test_work_that_waits_while_nobody_begins_any_is_stuck(
    changes: dict[str, Any], level: str, why: str
) -> None:
    [found] = health.stuck([handler("file.process"), waiting(for_s=90, **changes)])

    assert (found.level, found.why) == (level, why)


def test_work_that_waits_shortly_or_is_being_begun_is_not_stuck() -> None:
    assert health.stuck([waiting(for_s=5), waiting(for_s=900, started_per_s=0.02)]) == []


def test_the_worst_that_is_stuck_comes_first() -> None:
    found = health.stuck(
        [
            waiting("a.paused", for_s=900, paused=True),
            waiting("b.young", for_s=70),
            waiting("c.old", for_s=800),
        ]
    )

    assert [one.handler.name for one in found] == ["c.old", "b.young", "a.paused"]
    assert health.stalled(found, []).why.endswith("and 2 more")


@pytest.mark.parametrize(
    ("succeeded", "failed", "is_failing"),
    [
        ([0] * 60, [0] * 55 + [1] * 5, True),
        ([20] * 60, [0] * 55 + [1] * 5, False),
        ([0] * 60, [0] * 59 + [4], False),
        ([0] * 60, [50] * 55 + [0] * 5, False),
    ],
)
def test_a_handler_fails_when_its_last_minutes_have_many_failures_and_a_large_part(
    *, succeeded: list[int], failed: list[int], is_failing: bool
) -> None:
    assert health.is_failing(track(succeeded, failed)) is is_failing


def test_a_version_that_fails_clearly_more_often_stands_out() -> None:
    old, new = Version("1.0", 1_000, 10), Version("1.1", 100, 30)

    assert health.worse_versions([old, new]) == {"1.1"}


@pytest.mark.parametrize(
    "versions",
    [
        [Version("1.0", 1_000, 10), Version("1.1", 3, 4)],  # too few to tell
        [Version("1.0", 1_000, 100), Version("1.1", 100, 14)],  # chance explains it
        [Version("1.1", 100, 90)],  # nothing to compare with
        [],
    ],
)
def test_one_that_may_be_as_good_as_the_others_does_not(versions: list[Version]) -> None:
    assert health.worse_versions(versions) == set()


def test_a_schedule_is_late_when_its_tick_is_over_and_it_is_not_paused() -> None:
    def schedule(name: str, late_s: float, status: str = "active") -> dict[str, Any]:
        return {"name": name, "status": status, "next_at": rfc3339(NOW - timedelta(seconds=late_s))}

    late = [schedule("due", 29), schedule("late", 31), schedule("paused", 999, "paused")]

    found = health.late_schedules(late, now=NOW)
    assert (found.level, found.number, found.why) == ("warning", 1, "late")
    assert health.late_schedules([schedule("late", 301)], now=NOW).level == "fault"
    assert health.late_schedules([{**late[0], "next_at": None}], now=NOW).level == "ok"


def test_a_service_without_workers_is_a_fault_once_work_waits_for_it() -> None:
    alive = [{"service": "file"}]
    idle = [handler("file.process"), handler("email.send", workers=0)]

    assert health.workers(idle, alive).level == "warning"
    assert health.workers([*idle, waiting("email.other", for_s=1, workers=0)], alive).level == "fault"
    assert health.workers(idle, alive).why == "none of email"
    assert health.workers([handler()], [{"service": "email"}]).why == "of 1 service"
    assert health.workers([], []).level == "ok"


def test_dead_jobs_are_a_warning_and_many_a_fault() -> None:
    assert [health.dead({"dead": number}).level for number in (0, 1, 19, 20)] == [
        "ok",
        "warning",
        "warning",
        "fault",
    ]


def test_the_verdict_counts_what_is_wrong_and_the_title_of_the_page_says_the_worst() -> None:
    fine, late = health.dead({"dead": 0}), health.dead({"dead": 1})
    many = health.dead({"dead": 100})

    assert health.verdict([fine, fine]) == health.Verdict("ok", "All is well", "Overview")
    assert health.verdict([fine, late]) == health.Verdict("warning", "1 warning", "1 warning: Overview")
    assert health.verdict([many, late, many]) == health.Verdict(
        "fault", "2 faults, 1 warning", "2 faults: Overview"
    )


def registered(name: str) -> dict[str, Any]:
    limits = {"concurrency": None, "worker_concurrency": 4, "rate": None}
    return {
        "name": name,
        "service": name.partition(".")[0],
        "event_type": "email.requested",
        "version": "1",
        "description": "",
        "registered_at": rfc3339(NOW),
        "paused": False,
        "note": None,
        "since": None,
        "workers": 1,
        "running": 0,
        "waiting": 2,
        "dead": 0,
        **limits,
        "defaults": limits,
        "max_attempts": 5,
        "time_limit_s": 30.0,
    }


def measured(**changes: Any) -> list[dict[str, Any]]:
    facts = {"name": "email.send", "started_per_s": 1.0, "ended_per_s": 1.0}
    return [{"service": "email", "handlers": [facts | changes]}]


def test_what_a_worker_holds_but_does_not_run_waits_like_what_is_unread() -> None:
    scale = measured(lag=2, pending=6, running=4, oldest_age_s=500.0, unread_age_s=7.0)

    [found] = handlers_now([registered("email.send")], scale, None, now=NOW)

    assert (found.queued, found.retrying) == (4, 2)
    assert found.oldest_at == rfc3339(
        NOW - timedelta(seconds=7)
    )  # the message of 500 s ago may be one that runs


def test_while_nothing_runs_the_oldest_message_is_the_oldest_that_waits() -> None:
    scale = measured(lag=0, pending=3, running=0, oldest_age_s=500.0, unread_age_s=None)

    [found] = handlers_now([registered("email.send")], scale, None, now=NOW)

    assert (found.queued, found.oldest_age_s) == (3, 500.0)


def test_without_measurements_a_handler_is_shown_with_dashes() -> None:
    [found] = handlers_now([registered("email.send")], [], None, now=NOW)

    assert (found.queued, found.oldest_at, found.started_per_s) == (None, None, None)
