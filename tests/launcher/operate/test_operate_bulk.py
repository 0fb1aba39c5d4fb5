"""Orders to many jobs: looked at, asked about, done, counted."""

import json

import pytest
from operating import USER, System


@pytest.fixture
def waiting(system: System) -> list[str]:
    """Three jobs of a handler that is paused."""
    system.run("handlers", "pause", "lab.greet")
    return [
        system.run("events", "publish", "user.registered", json.dumps(USER), "--json").json["jobs"][0]["id"]
        for _ in range(3)
    ]


def test_a_dry_run_says_what_matches_and_does_nothing(system: System, waiting: list[str]) -> None:
    looked = system.run("jobs", "cancel", *waiting, "--dry-run")

    assert (looked.code, looked.facts["matched"], looked.facts["of lab.greet"]) == (0, "3", "3")
    assert system.run("jobs", "show", waiting[0], "--json").json["state"] == "queued"


def test_more_than_one_job_needs_a_yes_where_nobody_can_be_asked(system: System, waiting: list[str]) -> None:
    ran = system.run("jobs", "cancel", *waiting)

    assert (ran.code, ran.out, len(ran.err.splitlines())) == (2, "", 1)
    assert "3 jobs (lab.greet 3)" in ran.err
    assert "--yes" in ran.err


def test_jobs_are_cancelled_and_run_again_by_filter_and_counted(system: System, waiting: list[str]) -> None:
    cancelled = system.run("jobs", "cancel", "--handler", "lab.greet", "--state", "queued", "--yes", "--json")
    again = system.run("jobs", "retry", *waiting, "--yes")
    nothing = system.run("jobs", "retry", "--handler", "lab.none", "--yes")

    assert cancelled.json["done"] >= 3
    assert (again.code, again.facts["queued again"]) == (0, "3")
    assert (nothing.code, nothing.facts["queued again"]) == (0, "0")


def test_events_are_listed_newest_first(system: System, waiting: list[str]) -> None:
    rows = system.run("events", "ls", "--type", "user.registered").rows

    assert rows[0][:2] == [waiting[-1].partition(":")[2], "user.registered"]
