"""What is known of a job in, the one cause why it does not run out; pure.

The causes are in the order in which they would have to be removed for the job to run: the first that holds
is the cause, the others that hold as well are told beside it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from gateway.operations.backlogs import HandlerBacklog
from shared.jobs import HandlerRecord, Standing, State, WorkerRecord


class Code(StrEnum):
    """Why a job does not run. Stable: programs may rely on them."""

    FINISHED = "finished"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    CANCELLING = "cancelling"
    RUNNING = "running"
    WORKER_SILENT = "worker_silent"
    EVENT_SETTLED = "event_settled"
    NOT_PUBLISHED = "not_published"
    HANDLER_UNKNOWN = "handler_unknown"
    WAITING_FOR_RETRY = "waiting_for_retry"
    DELAYED = "delayed"
    NO_WORKER = "no_worker"
    PAUSED = "paused"
    CONCURRENCY_FULL = "concurrency_full"
    WORKERS_BUSY = "workers_busy"
    RATE_LIMITED = "rate_limited"
    BEHIND = "behind"
    BUS_AWAY = "bus_away"
    IN_HAND = "in_hand"
    MESSAGE_GONE = "message_gone"
    UNKNOWN = "unknown"


class Cause(NamedTuple):
    """One reason: its code, a sentence for people, and what it rests on."""

    code: Code
    sentence: str
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerFacts:
    """How far the job's event has come in the ledger."""

    accepted_at: datetime
    published_at: datetime | None
    settled_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePlace:
    """Where the job's message is among those that no worker has."""

    before: int
    is_exact: bool
    """False: at most so many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that is known of one job and of what it needs."""

    now: datetime
    job: dict[str, Any]
    """The job as the REST API shows it, but for its instants."""
    started_at: datetime | None
    finished_at: datetime | None
    due_at: datetime | None
    is_live: bool
    """Whether Redis knows the job: a worker had its message at least once."""
    lease_until: datetime | None
    is_cancelling: bool
    event: LedgerFacts | None
    """None for an event of another producer."""
    bus_is_away: bool
    """Whether the relay gets no event of this type onto its bus."""
    handler: HandlerRecord | None
    standing: Standing | None
    workers: Sequence[WorkerRecord]
    """Those alive that run the handler."""
    next_start_at: datetime | None
    """When the rate allows the next start; None when it allows one now."""
    backlog: HandlerBacklog | None
    place: QueuePlace | None


def causes(facts: Facts) -> list[Cause]:
    """Why the job does not run, the first to be removed first; at least one."""
    ended = _ended(facts) or _running(facts)
    if ended is not None:
        return [ended]
    found = [*_on_its_way(facts), *_at_the_handler(facts)]
    return found or [_unknown(facts)]


def _ended(facts: Facts) -> Cause | None:
    state, at = facts.job["state"], facts.finished_at
    if state in {State.SUCCEEDED, State.DEAD}:
        told = {"state": state, "finished_at": at, "reason": facts.job["reason"]}
        return Cause(Code.FINISHED, f"The job has ended: {state}.", told)
    if state == State.CANCELLED:
        return Cause(Code.CANCELLED, "The job was cancelled.", {"finished_at": at})
    if state == State.EXPIRED:
        sentence = "The job came, or became due, after its event had expired."
        return Cause(Code.EXPIRED, sentence, {"finished_at": at})
    return None


def _running(facts: Facts) -> Cause | None:
    """The job is a worker's, as long as the lease is good."""
    if facts.job["state"] != State.RUNNING or not _is_leased(facts):
        return None
    worker, attempt = facts.job["worker"], facts.job["attempt"]
    told = {
        "worker": worker,
        "attempt": attempt,
        "since": facts.started_at,
        "until": facts.lease_until,
    }
    if facts.is_cancelling:
        return Cause(Code.CANCELLING, f"It is to be cancelled; {worker} has yet to end it.", told)
    if worker in {one.id for one in facts.workers}:
        return Cause(Code.RUNNING, f"It runs: attempt {attempt}, on {worker}.", told)
    return Cause(
        Code.WORKER_SILENT,
        f"It belongs to {worker}, which is not heard of any more, until its lease ends.",
        told,
    )


def _on_its_way(facts: Facts) -> Iterator[Cause]:
    """What keeps the event from its handler."""
    event = facts.event
    if not facts.is_live and event is not None:
        told = {"accepted_at": event.accepted_at, "settled_at": event.settled_at}
        if event.settled_at is not None:
            yield Cause(
                Code.EVENT_SETTLED, "All handlers that the event had were done before this one came.", told
            )
            return
        if event.published_at is None:
            why = "its bus takes nothing at present" if facts.bus_is_away else "the relay has yet to do so"
            told = {"accepted_at": event.accepted_at, "bus_is_away": facts.bus_is_away}
            yield Cause(Code.NOT_PUBLISHED, f"Its event is committed and not published: {why}.", told)
    if facts.handler is None:
        told = {"handler": facts.job["handler"]}
        yield Cause(Code.HANDLER_UNKNOWN, "No service ever announced this handler, or it was removed.", told)
    if facts.due_at is not None and facts.due_at > facts.now:
        yield _waiting(facts)


def _waiting(facts: Facts) -> Cause:
    told: dict[str, Any] = {"until": facts.due_at, "attempt": facts.job["attempt"]}
    is_over = facts.due_at is not None and facts.due_at <= facts.now
    end = "its wait is over, and a worker queues it within a second." if is_over else "it waits until then."
    if facts.job["state"] != State.RETRYING:
        return Cause(Code.DELAYED, f"It is to be delivered later; {end}", told)
    told |= {"max_attempts": facts.job["max_attempts"], "error": _error(facts.job["error"])}
    return Cause(Code.WAITING_FOR_RETRY, f"An attempt failed or snoozed; {end}", told)


def _error(error: dict[str, Any] | None) -> dict[str, Any] | None:
    """The last error without its stack."""
    return {"type": error.get("type"), "message": error.get("message")} if error else None


def _at_the_handler(facts: Facts) -> Iterator[Cause]:
    """What keeps the handler from the job."""
    if facts.handler is None or facts.standing is None:
        return
    yield from _limits(facts.handler, facts.standing, facts)
    if facts.event is not None and not facts.is_live and facts.event.published_at is None:
        return
    if facts.due_at is not None:
        if facts.due_at <= facts.now:
            yield _waiting(facts)
    elif facts.job["state"] == State.RUNNING:
        told = {"worker": facts.job["worker"], "until": facts.lease_until}
        sentence = f"{facts.job['worker']} was silent for a lease; another worker takes it over."
        yield Cause(Code.WORKER_SILENT, sentence, told)
    elif facts.job["state"] == State.QUEUED:
        yield from _on_the_bus(facts)


def _limits(handler: HandlerRecord, standing: Standing, facts: Facts) -> Iterator[Cause]:
    limits, workers = standing.limits.over(handler.limits), len(facts.workers)
    if not workers:
        sentence = "No worker that runs this handler is alive."
        yield Cause(Code.NO_WORKER, sentence, {"handler": handler.name, "seen_at": standing.seen_at})
    if limits.paused:
        told: dict[str, Any] = {"note": limits.note or None, "since": limits.since}
        yield Cause(Code.PAUSED, "The handler is paused.", told)
    running = standing.running
    if limits.concurrency is not None and running >= limits.concurrency:
        told = {"running": running, "most": limits.concurrency}
        yield Cause(
            Code.CONCURRENCY_FULL, f"{running} of {limits.concurrency} jobs run, all workers together.", told
        )
    places = workers * (limits.worker_concurrency or 0)
    if workers and running >= places:
        told = {"running": running, "most": places, "workers": workers}
        yield Cause(
            Code.WORKERS_BUSY, f"{running} jobs run on {workers} workers, which is all they do.", told
        )
    if facts.next_start_at is not None:
        told = {"until": facts.next_start_at, "rate": limits.rate}
        yield Cause(Code.RATE_LIMITED, f"No more than {limits.rate:g} jobs start in a second.", told)


def _on_the_bus(facts: Facts) -> Iterator[Cause]:
    backlog, place = facts.backlog, facts.place
    if backlog is None:
        return
    if place is not None:
        about = "" if place.is_exact else "at most "
        told: dict[str, Any] = {"before": place.before, "is_exact": place.is_exact}
        yield Cause(Code.BEHIND, f"No worker has it yet: {about}{place.before} jobs are before it.", told)
        return
    on_redis, on_nats = backlog.redis, backlog.nats
    pending = on_redis.pending + (on_nats.pending if on_nats else 0)
    told = {"pending": pending, "published_at": facts.event.published_at if facts.event else None}
    if on_nats is None:
        yield Cause(Code.BUS_AWAY, "NATS does not answer; its message may lie there.", told)
    elif pending:
        yield Cause(Code.IN_HAND, "A worker has its message, or is about to start it.", told)
    else:
        yield Cause(Code.MESSAGE_GONE, "It was published, and no bus has a message for its handler.", told)


def _is_leased(facts: Facts) -> bool:
    return facts.lease_until is not None and facts.lease_until > facts.now


def _unknown(facts: Facts) -> Cause:
    looked_at = ["the job", "its event", "its handler", "workers", "limits", "the buses"]
    told = {"looked_at": looked_at, "state": facts.job["state"]}
    return Cause(Code.UNKNOWN, "Nothing was found that keeps it from running.", told)
