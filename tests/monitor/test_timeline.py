"""What happened to a job, in order and to scale."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from monitor.pages.timeline import Run, timeline

NOW = datetime(2026, 11, 23, 12, 10, tzinfo=UTC)
RELAY_BUSY = {"type": "RelayBusy", "message": "451", "stack": ""}


def _at(clock: str) -> str:
    return f"2026-11-23T{clock}Z"


def _failed(number: int, begin: str, end: str) -> dict[str, Any]:
    return {
        "attempt": number,
        "worker": "email-1",
        "version": "1.2.0",
        "started_at": _at(begin),
        "finished_at": _at(end),
        "error": RELAY_BUSY,
    }


def _job(state: str, **given: Any) -> dict[str, Any]:
    blank = {
        "attempt": 0,
        "attempts": [],
        "queued_at": _at("12:00:00"),
        "started_at": None,
        "finished_at": None,
        "due_at": None,
        "worker": None,
        "reason": None,
    }
    return {"state": state} | blank | given


def _lines(run: Run) -> Sequence[tuple[str, float, float | None]]:
    return [(step.title, step.left, step.width) for step in run.steps]


def _titles(job: Mapping[str, Any], accepted_at: str | None = None) -> list[str]:
    return [step.title for step in timeline(job, accepted_at=accepted_at, now=NOW).run.steps]


def test_a_job_that_succeeded_at_once_waited_and_ran() -> None:
    job = _job("succeeded", attempt=1, worker="w", started_at=_at("12:00:01"), finished_at=_at("12:00:04"))

    found = timeline(job, accepted_at=_at("11:59:59"), now=NOW)

    assert _lines(found.run) == [
        ("Accepted", 0, None),
        ("Waited for a worker", 0, 25),
        ("Attempt 1", 25, 75),
        ("Succeeded", 0, None),
    ]
    assert [step.tone for step in found.run.steps] == ["calm", "calm", "good", "good"]
    assert (found.run.begin, found.run.end) == (_at("12:00:00"), _at("12:00:04"))
    assert found.former == []


def test_failed_attempts_stand_with_the_waits_between_them_to_scale() -> None:
    job = _job(
        "succeeded",
        attempt=3,
        worker="w",
        attempts=[_failed(1, "12:00:10", "12:00:20"), _failed(2, "12:00:40", "12:00:50")],
        started_at=_at("12:01:30"),
        finished_at=_at("12:01:40"),
    )

    found = timeline(job, accepted_at=None, now=NOW).run

    assert _lines(found) == [
        ("Waited for a worker", 0, 10),
        ("Attempt 1", 10, 10),
        ("Waited for its retry", 20, 20),
        ("Attempt 2", 40, 10),
        ("Waited for its retry", 50, 40),
        ("Attempt 3", 90, 10),
        ("Succeeded", 0, None),
    ]
    assert [step.tone for step in found.steps if step.kind == "attempt"] == ["error", "error", "good"]


def test_a_retry_that_is_awaited_reaches_to_when_it_is_due() -> None:
    job = _job(
        "retrying",
        attempt=1,
        attempts=[_failed(1, "12:00:00", "12:05:00")],
        started_at=_at("12:00:00"),
        due_at=_at("12:20:00"),
    )

    found = timeline(job, accepted_at=None, now=NOW).run

    assert _lines(found)[-1] == ("Waits for its retry", 25, 75)
    assert (found.steps[-1].is_open, found.steps[-1].until) == (True, _at("12:20:00"))
    assert found.end == _at("12:20:00")


def test_a_running_attempt_reaches_to_now() -> None:
    job = _job("running", attempt=1, worker="w", started_at=_at("12:05:00"))

    found = timeline(job, accepted_at=None, now=NOW).run

    assert _lines(found) == [("Waited for a worker", 0, 50), ("Attempt 1", 50, 50)]
    assert (found.steps[-1].tone, found.steps[-1].is_open, found.end) == ("busy", True, None)


def test_what_a_job_waits_for_is_named() -> None:
    started = {"started_at": _at("12:01:00")}

    assert _titles(_job("queued")) == ["Waits for a worker"]
    assert _titles(_job("queued", due_at=_at("13:00:00"))) == ["Waits until it is due"]
    assert _titles(_job("retrying", due_at=_at("13:00:00"), **started)) == ["Waits: its handler postponed it"]


def test_a_dead_job_ends_with_its_last_attempt_and_the_reason() -> None:
    job = _job(
        "dead",
        attempt=2,
        reason="exhausted",
        attempts=[_failed(1, "12:00:10", "12:00:20"), _failed(2, "12:00:40", "12:00:50")],
        started_at=_at("12:00:40"),
        finished_at=_at("12:00:50"),
    )

    assert _titles(job) == [
        "Waited for a worker",
        "Attempt 1",
        "Waited for its retry",
        "Attempt 2",
        "Dead: exhausted",
    ]


def test_a_job_that_never_ran_only_waited() -> None:
    assert _titles(_job("cancelled", finished_at=_at("12:00:30"))) == ["Waited for a worker", "Cancelled"]


def test_a_job_that_was_run_again_has_a_run_of_its_own_for_each_order() -> None:
    job = _job(
        "succeeded",
        attempt=1,
        worker="w",
        queued_at=_at("12:02:00"),
        started_at=_at("12:02:01"),
        finished_at=_at("12:02:02"),
        attempts=[
            _failed(1, "12:00:10", "12:00:20"),
            _failed(2, "12:00:40", "12:00:50"),
            _failed(1, "12:01:00", "12:01:01"),
        ],
    )

    found = timeline(job, accepted_at=_at("12:00:00"), now=NOW)

    assert [[step.title for step in run.steps] for run in found.former] == [
        ["Attempt 1", "Waited for its retry", "Attempt 2"],
        ["Attempt 1"],
    ]
    assert [step.title for step in found.run.steps] == ["Waited for a worker", "Attempt 1", "Succeeded"]


def test_an_event_that_came_past_the_gateway_was_not_accepted_first() -> None:
    job = _job("succeeded", attempt=1, started_at=_at("12:00:01"), finished_at=_at("12:00:02"))

    assert "Accepted" not in _titles(job, accepted_at=_at("12:00:01"))


def test_clocks_that_differ_a_little_do_not_make_another_run() -> None:
    job = _job("running", attempt=2, worker="w", started_at=_at("12:00:02"))
    job["attempts"] = [_failed(1, "11:59:59.500", "11:59:59.600")]

    found = timeline(job, accepted_at=None, now=NOW)

    assert found.former == []
    assert [step.title for step in found.run.steps if step.kind == "attempt"] == ["Attempt 1", "Attempt 2"]
    assert all(step.left >= 0 and (step.width or 0) <= 100 for step in found.run.steps)


def test_what_nobody_knows_is_left_out_of_the_drawing() -> None:
    lost = _failed(1, "12:00:01", "12:00:31") | {"started_at": "1970-01-01T00:00:00.000000Z"}
    job = _job("retrying", attempt=1, queued_at=None, attempts=[{}, lost], due_at=_at("12:20:00"))

    steps = timeline(job, accepted_at=None, now=NOW).run.steps

    assert [(step.title, step.begin) for step in steps] == [
        ("Attempt 1", None),
        ("Waits for its retry", _at("12:00:31")),
    ]
    assert steps[0].width is None
