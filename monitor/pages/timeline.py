"""A job as the API shows it in, what happened to it in order out: waits and attempts, drawn to scale; pure.

The API tells of each attempt that failed; of one that did not, only when the last one began. A job that was
run again has several runs, each with a scale of its own: between two of them may lie a week.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, Literal, cast

from shared.clock import from_rfc3339

Kind = Literal["accepted", "wait", "attempt", "end"]
Tone = Literal["calm", "busy", "good", "warn", "error"]

NARROWEST: Final = 0.6
"""% of the scale: a shorter bar could not be seen."""

_CLOCKS_DIFFER: Final = timedelta(seconds=1)
"""How far the clocks of a worker and of Redis may be apart: nobody orders a job to run again sooner."""

_TONES: Final[Mapping[str, Tone]] = {
    "succeeded": "good",
    "dead": "error",
    "cancelled": "calm",
    "expired": "warn",
}
_UNTIL_KNOWN: Final = frozenset({"queued", "retrying"})


@dataclass(frozen=True)
class Failure:
    """What an attempt failed with."""

    type: str
    message: str
    stack: str


@dataclass(frozen=True)
class Step:
    """One line. `begin` and `end` are RFC 3339; `end` is None while it lasts, or where nobody knows it."""

    kind: Kind
    title: str
    begin: str | None
    end: str | None = None
    tone: Tone = "calm"
    is_open: bool = False
    until: str | None = None
    """When an open wait will end, where that is known."""
    by: str = ""
    """The worker of an attempt, and its version where that is told."""
    error: Failure | None = None
    left: float = 0
    """Where its bar begins, in % of the scale."""
    width: float | None = None
    """How long its bar is; None for none."""


@dataclass(frozen=True)
class Run:
    """From an order to run to the end, or to now."""

    steps: Sequence[Step]
    begin: str | None
    end: str | None
    """The ends of its scale; None where there is none."""


@dataclass(frozen=True)
class Timeline:
    """All that is known, the latest run last."""

    former: Sequence[Run]
    run: Run


def timeline(job: Mapping[str, Any], *, accepted_at: str | None, now: datetime) -> Timeline:
    """What happened to the job. `accepted_at` is when its event was committed, None where nobody says."""
    former, latest = _runs(job)
    steps = _steps(job, latest)
    if accepted_at is not None and not former and _is_first(accepted_at, job["queued_at"]):
        steps = [Step("accepted", "Accepted", accepted_at), *steps]
    return Timeline([_scaled(_attempts_and_waits(run), now) for run in former], _scaled(steps, now))


def _is_first(accepted_at: str, queued_at: str | None) -> bool:
    """Whether the job came of the acceptance: the ledger learns later of what came over a bus."""
    return queued_at is None or _at(accepted_at) <= _at(queued_at)


def _runs(job: Mapping[str, Any]) -> tuple[list[list[Mapping[str, Any]]], list[Mapping[str, Any]]]:
    """The failed attempts of former runs, each run for itself, and those of the latest one.

    A run begins where attempts are counted from 1 again; the latest also begins when the job was queued.
    """
    runs: list[list[Mapping[str, Any]]] = []
    for attempt in job["attempts"]:
        if not attempt:  # what cannot be read comes so
            continue
        is_next = runs and _number(attempt) > _number(runs[-1][-1])
        if is_next and _is_former(runs[-1][-1], job) == _is_former(attempt, job):
            runs[-1].append(attempt)
        else:
            runs.append([attempt])
    if runs and not _is_former(runs[-1][-1], job):
        return runs[:-1], runs[-1]
    return runs, []


def _is_former(attempt: Mapping[str, Any], job: Mapping[str, Any]) -> bool:
    """Whether the job was queued again after it, by the count of attempts or else by the clocks."""
    end = _known(attempt.get("finished_at"))
    is_long_before = (
        end is not None and job["queued_at"] is not None and _at(end) < _at(job["queued_at"]) - _CLOCKS_DIFFER
    )
    return _number(attempt) > job["attempt"] or is_long_before


def _steps(job: Mapping[str, Any], failed: Sequence[Mapping[str, Any]]) -> list[Step]:
    """The latest run: what failed, the attempt that did not, and what the job does now."""
    attempts = list(failed)
    if _has_one_more(job, failed):
        attempts.append(
            {"attempt": job["attempt"], "worker": job["worker"], "started_at": job["started_at"]}
            | {"finished_at": job["finished_at"], "state": job["state"]}
        )
    steps = _attempts_and_waits(attempts, queued_at=job["queued_at"])
    state: str = job["state"]
    if state in _UNTIL_KNOWN:
        return [*steps, _open_wait(job, attempts)]
    if state == "running":
        return steps
    if not attempts and job["queued_at"]:
        steps.append(Step("wait", "Waited for a worker", job["queued_at"], job["finished_at"]))
    words = f"{state.capitalize()}: {job['reason']}" if job["reason"] else state.capitalize()
    return [*steps, Step("end", words, job["finished_at"], tone=_TONES.get(state, "calm"))]


def _has_one_more(job: Mapping[str, Any], failed: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the job's last start is none of the failed attempts: it runs, or ended otherwise.

    One that postponed itself, or was handed back by a worker that stopped, is not counted and has no record.
    """
    if job["started_at"] is None or job["state"] in _UNTIL_KNOWN or job["attempt"] < 1:
        return False
    if job["queued_at"] is not None and _at(job["started_at"]) < _at(job["queued_at"]):
        return False  # of a former run
    return not failed or _number(failed[-1]) < job["attempt"]


def _attempts_and_waits(attempts: Sequence[Mapping[str, Any]], *, queued_at: str | None = None) -> list[Step]:
    steps: list[Step] = []
    before = queued_at
    for attempt in attempts:
        begin = _known(attempt.get("started_at"))
        if before is not None and begin is not None:
            title = "Waited for its retry" if steps else "Waited for a worker"
            steps.append(Step("wait", title, before, begin))
        is_running = attempt.get("state") == "running"
        end = _known(attempt.get("finished_at"))
        steps.append(
            Step(
                "attempt",
                f"Attempt {attempt.get('attempt') or '?'}",
                begin,
                end,
                tone="busy" if is_running else _TONES.get(attempt.get("state") or "dead", "error"),
                is_open=is_running,
                by=_by(attempt),
                error=_failure(attempt.get("error")),
            )
        )
        before = end
    return steps


def _by(attempt: Mapping[str, Any]) -> str:
    worker, version = attempt.get("worker"), attempt.get("version")
    return f"{worker} · version {version}" if worker and version else str(worker or "")


def _failure(error: Any) -> Failure | None:
    if not isinstance(error, dict):
        return None
    told = cast("Mapping[str, Any]", error)
    return Failure(*(str(told.get(name) or "") for name in ("type", "message", "stack")))


def _open_wait(job: Mapping[str, Any], attempts: Sequence[Mapping[str, Any]]) -> Step:
    """What a job that does not run waits for; since when, and until when."""
    since = _known(attempts[-1].get("finished_at")) if attempts else job["queued_at"]
    has_failed_last = attempts and _number(attempts[-1]) == job["attempt"]
    if job["state"] == "queued":
        title = "Waits until it is due" if job["due_at"] else "Waits for a worker"
    elif has_failed_last:
        title = "Waits for its retry"
    else:
        title = "Waits: its handler postponed it"
        since = job["started_at"] or since
    return Step("wait", title, since, tone="warn", is_open=True, until=job["due_at"])


def _scaled(steps: Sequence[Step], now: datetime) -> Run:
    """The steps with their bars. An open one reaches to when it will end, at least to now."""

    def end_of(step: Step) -> datetime | None:
        if step.is_open:
            return max(_at(step.until), now) if step.until else now
        return _at(step.end) if step.end else None

    drawn = [(step, end) for step in steps if step.kind in {"wait", "attempt"} and (end := end_of(step))]
    begins = [_at(step.begin) for step, _ in drawn if step.begin]
    if not begins:
        return Run(list(steps), None, None)
    first = min(begins)
    last = max(end for _, end in drawn)
    length = (last - first).total_seconds()

    def with_bar(step: Step) -> Step:
        end = end_of(step)
        if step.kind not in {"wait", "attempt"} or not step.begin or end is None or length <= 0:
            return step
        width = max(100 * (end - _at(step.begin)).total_seconds() / length, NARROWEST)
        left = 100 * (_at(step.begin) - first).total_seconds() / length
        return replace(step, left=round(min(left, 100 - min(width, 100)), 2), width=round(min(width, 100), 2))

    shown = [with_bar(step) for step in steps]
    is_open = any(step.is_open and not step.until for step in steps)
    return Run(shown, _text(first), None if is_open else _text(last))


def _known(at: Any) -> str | None:
    """The instant; None where it is missing, or the 0 that stands for it."""
    return at if isinstance(at, str) and not at.startswith("1970-") else None


def _number(attempt: Mapping[str, Any]) -> int:
    number = attempt.get("attempt")
    return number if isinstance(number, int) else 0


def _at(text: str) -> datetime:
    return from_rfc3339(text)


def _text(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
