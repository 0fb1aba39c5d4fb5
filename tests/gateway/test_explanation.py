"""Each cause that keeps a job from running, and which of several is named."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.operations.backlogs import HandlerBacklog
from gateway.operations.explanation import Code, Facts, LedgerFacts, QueuePlace, causes
from shared.bus import Backlog
from shared.jobs import HandlerRecord, Limits, Standing, WorkerRecord

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
LATER, EARLIER = NOW + timedelta(minutes=5), NOW - timedelta(minutes=5)
NOTHING = HandlerBacklog(redis=Backlog(), nats=Backlog())
HANDLER = HandlerRecord(
    name="lab.answer",
    service="lab",
    event_type="lab.asked",
    max_attempts=5,
    concurrency=2,
    time_limit_s=30,
    version="1",
    description="",
    registered_at="2026-01-01T00:00:00Z",
)
WORKER = WorkerRecord(
    id="lab-1", service="lab", version="1", handlers=["lab.answer"], host="h", pid=1, started_at="2026-01-01"
)


def job(state: str = "queued", **more: Any) -> dict[str, Any]:
    return {
        "handler": "lab.answer",
        "state": state,
        "attempt": 1,
        "max_attempts": 5,
        "worker": None,
        "error": None,
        "reason": None,
        **more,
    }


def standing(running: int = 0, **limits: Any) -> Standing:
    return Standing(
        limits=Limits(**limits),
        running=running,
        waiting=0,
        due=0,
        dead=0,
        queued=0,
        started_per_s=0,
        ended_per_s=0,
        seen_at=EARLIER,
    )


def ledger(*, published: bool = True, settled: bool = False) -> LedgerFacts:
    return LedgerFacts(
        accepted_at=EARLIER,
        published_at=EARLIER if published else None,
        settled_at=EARLIER if settled else None,
    )


READY = Facts(
    now=NOW,
    job=job(),
    started_at=None,
    finished_at=None,
    due_at=None,
    is_live=False,
    lease_until=None,
    is_cancelling=False,
    event=ledger(),
    bus_is_away=False,
    handler=HANDLER,
    standing=standing(),
    workers=[WORKER],
    next_start_at=None,
    backlog=HandlerBacklog(redis=Backlog(lag=3), nats=Backlog()),
    place=QueuePlace(before=2, is_exact=True),
)
RUNNING = replace(READY, job=job("running", worker="lab-1"), is_live=True, lease_until=LATER)
RETRYING = job("retrying", error={"type": "Busy", "message": "later", "stack": "..."})


CASES: list[tuple[Facts, Code, dict[str, Any]]] = [
    (replace(READY, job=job("succeeded"), finished_at=NOW), Code.FINISHED, {"state": "succeeded"}),
    (replace(READY, job=job("dead", reason="exhausted")), Code.FINISHED, {"reason": "exhausted"}),
    (replace(READY, job=job("cancelled"), finished_at=NOW), Code.CANCELLED, {"finished_at": NOW}),
    (replace(READY, job=job("expired"), finished_at=NOW), Code.EXPIRED, {"finished_at": NOW}),
    (RUNNING, Code.RUNNING, {"worker": "lab-1", "attempt": 1, "until": LATER}),
    (replace(RUNNING, is_cancelling=True), Code.CANCELLING, {"worker": "lab-1"}),
    (replace(RUNNING, workers=[]), Code.WORKER_SILENT, {"until": LATER}),
    (replace(RUNNING, lease_until=EARLIER), Code.WORKER_SILENT, {"until": EARLIER}),
    (replace(READY, event=ledger(settled=True)), Code.EVENT_SETTLED, {"settled_at": EARLIER}),
    (replace(READY, event=ledger(published=False)), Code.NOT_PUBLISHED, {"bus_is_away": False}),
    (
        replace(READY, event=ledger(published=False), bus_is_away=True),
        Code.NOT_PUBLISHED,
        {"bus_is_away": True},
    ),
    (replace(READY, handler=None, standing=None), Code.HANDLER_UNKNOWN, {"handler": "lab.answer"}),
    (
        replace(READY, job=RETRYING, is_live=True, due_at=LATER),
        Code.WAITING_FOR_RETRY,
        {"until": LATER, "error": {"type": "Busy", "message": "later"}},
    ),
    (replace(READY, job=RETRYING, is_live=True, due_at=EARLIER), Code.WAITING_FOR_RETRY, {}),
    (replace(READY, is_live=True, due_at=LATER), Code.DELAYED, {"until": LATER}),
    (replace(READY, workers=[]), Code.NO_WORKER, {"seen_at": EARLIER}),
    (
        replace(READY, standing=standing(paused=True, note="moving", since=EARLIER)),
        Code.PAUSED,
        {"note": "moving", "since": EARLIER},
    ),
    (
        replace(READY, standing=standing(running=1, concurrency=1)),
        Code.CONCURRENCY_FULL,
        {"running": 1, "most": 1},
    ),
    (replace(READY, standing=standing(running=2)), Code.WORKERS_BUSY, {"running": 2, "most": 2}),
    (
        replace(READY, standing=standing(rate=0.5), next_start_at=LATER),
        Code.RATE_LIMITED,
        {"until": LATER, "rate": 0.5},
    ),
    (READY, Code.BEHIND, {"before": 2, "is_exact": True}),
    (replace(READY, place=None, backlog=HandlerBacklog(redis=Backlog(), nats=None)), Code.BUS_AWAY, {}),
    (
        replace(READY, place=None, backlog=HandlerBacklog(redis=Backlog(pending=1), nats=Backlog())),
        Code.IN_HAND,
        {"pending": 1},
    ),
    (replace(READY, place=None, backlog=NOTHING), Code.MESSAGE_GONE, {"published_at": EARLIER}),
    (replace(READY, job=job("retrying"), is_live=True), Code.UNKNOWN, {"state": "retrying"}),
]


@pytest.mark.parametrize(
    ("facts", "code", "told"),
    CASES,
)
def test_each_cause_is_told_with_its_facts(facts: Facts, code: Code, told: dict[str, Any]) -> None:
    first, *_ = causes(facts)

    assert first.code == code
    assert told.items() <= first.facts.items()
    assert first.sentence.endswith(".")


def test_every_code_has_a_case() -> None:
    assert {code for _, code, _ in CASES} == set(Code)


def test_what_is_to_be_removed_first_is_the_cause_and_the_rest_is_told_too() -> None:
    found = causes(
        replace(
            READY,
            event=ledger(published=False),
            workers=[],
            standing=standing(running=4, paused=True, concurrency=4, rate=1),
            next_start_at=LATER,
        )
    )

    assert [cause.code for cause in found] == [
        Code.NOT_PUBLISHED,
        Code.NO_WORKER,
        Code.PAUSED,
        Code.CONCURRENCY_FULL,
        Code.RATE_LIMITED,
    ]


def test_a_job_that_a_dead_worker_had_waits_for_what_keeps_others_from_starting() -> None:
    found = causes(replace(RUNNING, lease_until=EARLIER, standing=standing(paused=True)))

    assert [cause.code for cause in found] == [Code.PAUSED, Code.WORKER_SILENT]


def test_the_page_explains_every_code() -> None:
    page = (Path(__file__).parents[2] / "docs" / "why.md").read_text()

    assert set(re.findall(r"^\| `(\w+)` \| .*\| .*\| .*\|$", page, re.MULTILINE)) >= set(Code)
