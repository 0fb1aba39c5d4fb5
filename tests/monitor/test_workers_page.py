"""Workers and what they hold."""

from datetime import UTC, datetime, timedelta
from typing import Any

from monitor.pages.workers import jobs_of_worker, versions_of, workers_now
from shared.clock import rfc3339

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def worker(name: str, *, version: str = "1.0", lease_left_s: float = 20, **changes: Any) -> dict[str, Any]:
    facts = {
        "id": name,
        "service": name.partition("-")[0],
        "version": version,
        "handlers": ["email.send"],
        "host": "vm",
        "pid": 1,
        "started_at": rfc3339(NOW),
        "slots": 4,
        "running": 0,
        "lease_left_s": lease_left_s,
    }
    return facts | changes


def job(of: str, began_s: float, handler: str = "email.send") -> dict[str, Any]:
    began = rfc3339(NOW - timedelta(seconds=began_s))
    return {
        "id": f"{handler}:{began_s}",
        "handler": handler,
        "worker": of,
        "started_at": began,
        "queued_at": None,
    }


def test_a_worker_is_shown_with_what_it_holds_the_longest_running_first() -> None:
    jobs = [job("email-1", 5), job("email-2", 50), job("email-1", 500)]

    first, second = workers_now([worker("email-1"), worker("email-2")], jobs, {}, now=NOW)

    assert [held.job["id"] for held in first.held] == ["email.send:500", "email.send:5"]
    assert [held.job["id"] for held in second.held] == ["email.send:50"]


def test_a_job_that_runs_longer_than_its_limit_stands_out() -> None:
    jobs = [job("email-1", 29), job("email-1", 31), job("email-1", 999, "email.unknown")]

    [found] = workers_now([worker("email-1")], jobs, {"email.send": 30.0}, now=NOW)

    assert [held.limit_s for held in found.held] == [None, 30.0, None]


def test_workers_of_two_versions_of_a_service_stand_out() -> None:
    all_ = [worker("email-1"), worker("email-2", version="1.1"), worker("file-1")]

    assert [one.is_of_many for one in workers_now(all_, [], {}, now=NOW)] == [True, True, False]
    assert versions_of(all_)["email"] == ["1.0", "1.1"]


def test_a_worker_that_should_have_been_heard_of_stands_out() -> None:
    late, usual = workers_now([worker("email-1", lease_left_s=3.2), worker("email-2")], [], {}, now=NOW)

    assert (late.is_late, usual.is_late) == (True, False)
    assert late.lease_until == rfc3339(NOW + timedelta(seconds=3))


def test_a_bar_is_full_when_a_lowered_limit_leaves_more_jobs_than_slots() -> None:
    [found] = workers_now([worker("email-1", slots=2, running=3)], [], {}, now=NOW)

    assert found.busy == 1
    assert jobs_of_worker("email-1") == "/jobs?state=running&q=worker%3Aemail-1"
