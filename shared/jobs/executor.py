"""One attempt of one job, from its envelope to its outcome: check, run within the limit, decide, publish."""

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec
import structlog

from shared.bus import Bus, BusName
from shared.clock import Clock
from shared.contracts import Envelope
from shared.contracts.catalogue import check
from shared.errors import TrunklineError
from shared.jobs import keys, verdict
from shared.jobs.causing import NOTHING, Caused, Causing
from shared.jobs.children import Children
from shared.jobs.decided import Decided, decided_in
from shared.jobs.frames import Run
from shared.jobs.handlers import Handler
from shared.jobs.job import Job, TellProgress
from shared.jobs.outcomes import HandlerGaveUp, HardTimeLimitExceeded, TimeLimitExceeded
from shared.jobs.states import State
from shared.jobs.store import Ending, JobStore
from shared.jobs.verdict import Outcome
from shared.telemetry import Metrics, Span, Tracing, current_traceparent, get_logger

_PUBLISH_BACKOFF_S = (0.05, 2.0)
# What the metrics call an attempt that was cancelled: by an order, a drain, a lost lease or its hard limit.
_INTERRUPTED = "interrupted"

_log = get_logger()


@dataclass(slots=True, kw_only=True, eq=False)
class Attempt:
    """One run of a handler on one event, and how far it is."""

    handler: Handler
    envelope: Envelope
    number: int
    bus: BusName
    channel: str
    in_handler_since: float = 0.0
    """By the monotonic clock, when the handler began to run in this loop; 0 while it does not."""
    has_place: bool = True
    """Whether it takes one of the places of its handler's concurrency."""
    is_late: bool = False
    """Whether it was cancelled, once, for running past its time limit."""
    is_abandoned: bool = False
    """Whether it was ended while its handler ran on: what that one still does counts no more."""

    @property
    def job_id(self) -> str:
        """The job that this is an attempt of."""
        return keys.job_id(self.handler.name, self.envelope.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Executor:
    """Runs attempts; knows nothing of messages and acknowledgements."""

    bus: Bus
    store: JobStore
    tracing: Tracing
    metrics: Metrics
    clock: Clock
    worker: str
    version: str
    children: Children
    arguments: Mapping[str, Mapping[str, Any]]
    """What each handler asks for besides its event and job: handler -> parameter -> value."""

    async def run(self, attempt: Attempt) -> Ending:
        """The attempt's ending; everything that the handler raises is part of it, but for being cancelled.

        Runs in a task of its own, whose log lines carry the job's id from here on.
        """
        started = time.monotonic()
        started_ms = time.time_ns() // 1_000_000
        ended_as = _INTERRUPTED
        self.metrics.job_started(attempt.handler.name)
        try:
            with self._span(attempt) as span:
                structlog.contextvars.bind_contextvars(job_id=attempt.job_id, trace_id=span.trace_id)
                outcome = await self._outcome(attempt)
                if attempt.is_abandoned:
                    raise asyncio.CancelledError
                outcome, caused = await self._cause(attempt, outcome)
                if outcome.failure is not None:
                    span.fail(outcome.failure.type, outcome.failure.message)
                ended_as = outcome.state.value
                self._tell(attempt, outcome, time.monotonic() - started)
            return self._ending(attempt, outcome, caused, started_ms, span)
        finally:
            self.metrics.job_finished(attempt.handler.name, ended_as, time.monotonic() - started)

    def abandon(self, attempt: Attempt) -> Ending:
        """The ending of an attempt whose handler runs on past its hard limit; it must run in this loop."""
        attempt.is_abandoned = True
        took_s = time.monotonic() - attempt.in_handler_since
        started_ms = time.time_ns() // 1_000_000 - round(took_s * 1000)
        limit = HardTimeLimitExceeded(attempt.handler.hard_limit)
        outcome = verdict.of_error(attempt.handler, limit, attempt.number)
        self.metrics.job_started(attempt.handler.name)
        with (
            self._span(attempt) as span,
            structlog.contextvars.bound_contextvars(job_id=attempt.job_id, trace_id=span.trace_id),
        ):
            span.fail(type(limit).__qualname__, str(limit))
            self._tell(attempt, outcome, took_s)
        self.metrics.job_finished(attempt.handler.name, outcome.state.value, took_s)
        return self._ending(attempt, outcome, NOTHING, started_ms, span)

    async def _outcome(self, attempt: Attempt) -> Outcome:
        handler = attempt.handler
        if handler.isolation == "process":
            return await self._outcome_in_child(attempt)
        job = self._job(attempt) if handler.job_parameter is not None else None
        try:
            event = check(handler.contract, attempt.envelope)
            attempt.in_handler_since = time.monotonic()
            returned = await handler.function(event, **self._arguments(handler, job))
        except (Exception, asyncio.CancelledError, SystemExit, Decided, BaseExceptionGroup) as error:
            if isinstance(error, asyncio.CancelledError) and _is_cancelled_from_outside(attempt):
                raise
            return _outcome_of_error(attempt, error)
        finally:
            attempt.in_handler_since = 0.0
            if attempt.is_late and (task := asyncio.current_task()) is not None:
                task.uncancel()
        if job is not None and job.unrecorded(returned):
            job.log.warning("job.outcome_not_recorded", consequence="a redelivery would have another result")
        return verdict.of_return(handler, returned)

    async def _outcome_in_child(self, attempt: Attempt) -> Outcome:
        run = Run(
            job_id=attempt.job_id,
            attempt=attempt.number,
            envelope=attempt.envelope,
            traceparent=current_traceparent(),
        )
        try:
            return await self.children.run(attempt.handler, run, self._tell_progress(attempt))
        except TrunklineError as error:
            # It died, was killed, could not be started: no stack of ours would say more.
            return verdict.of_error(attempt.handler, error.with_traceback(None), attempt.number)

    def _arguments(self, handler: Handler, job: Job | None) -> Mapping[str, Any]:
        given = self.arguments[handler.name]
        if handler.job_parameter is None:
            return given
        return {**given, handler.job_parameter: job}

    def _job(self, attempt: Attempt) -> Job:
        handler = attempt.handler.name
        return Job(
            id=attempt.job_id,
            handler=handler,
            attempt=attempt.number,
            envelope=attempt.envelope,
            deadline=self.clock.now() + attempt.handler.time_limit,
            log=get_logger().bind(handler=handler, attempt=attempt.number),
            tell_progress=self._tell_progress(attempt),
        )

    def _tell_progress(self, attempt: Attempt) -> TellProgress:
        handler, event_id = attempt.handler.name, attempt.envelope.id

        async def tell(done: float, total: float, note: str) -> None:
            progress = msgspec.json.encode({"done": done, "total": total, "note": note})
            await self.store.tell_progress(handler, event_id, attempt.number, progress)

        return tell

    async def _cause(self, attempt: Attempt, outcome: Outcome) -> tuple[Outcome, Caused]:
        """Publish what the outcome causes; it comes back as the job's death when that cannot be."""
        if not outcome.events and outcome.then is None:
            return outcome, NOTHING
        causing = Causing(tracing=self.tracing, clock=self.clock)
        outcome, caused = await causing.cause(attempt.handler, attempt.envelope, outcome)
        return outcome, msgspec.structs.replace(caused, places=await self._publish(caused.events))

    async def _publish(self, envelopes: Sequence[Envelope]) -> dict[str, str]:
        """Publish what the handler caused, and tell where it lies; waits for a lost bus."""
        places: dict[str, str] = {}
        backoff, missing = _PUBLISH_BACKOFF_S[0], envelopes
        while missing:
            places |= await self.bus.publish(missing)
            missing = [envelope for envelope in missing if envelope.id not in places]
            if missing:
                await asyncio.sleep(backoff * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
                backoff = min(backoff * 2, _PUBLISH_BACKOFF_S[1])
        return places

    def _ending(
        self, attempt: Attempt, outcome: Outcome, caused: Caused, started_ms: int, span: Span
    ) -> Ending:
        fields: list[str | bytes] = []
        if outcome.result:
            fields += ("result", outcome.result)
        fields += caused.fields
        if outcome.reason is not None:
            fields += ("reason", outcome.reason.value)
        record = b""
        if outcome.failure is not None:
            fields += ("error", outcome.failure.to_json())
            record = msgspec.json.encode(
                {
                    "attempt": attempt.number,
                    "worker": self.worker,
                    "version": self.version,
                    "started_at": started_ms,
                    "finished_at": time.time_ns() // 1_000_000,
                    "error": outcome.failure,
                    "trace_id": span.trace_id,
                }
            )
        return Ending(
            event_id=attempt.envelope.id,
            attempt=attempt.number,
            state=outcome.state.value,
            wait=outcome.wait,
            counts=outcome.counts,
            fields=tuple(fields),
            record=record,
        )

    def _span(self, attempt: Attempt) -> Span:
        envelope = attempt.envelope
        return self.tracing.process(
            system=attempt.bus,
            destination=attempt.channel,
            group=attempt.handler.name,
            event_id=envelope.id,
            event_type=envelope.type,
            event_source=envelope.source,
            traceparent=envelope.traceparent,
            handler=attempt.handler.name,
            job_id=attempt.job_id,
            attempt=attempt.number,
        )

    def _tell(self, attempt: Attempt, outcome: Outcome, took_s: float) -> None:
        failure = outcome.failure
        line: dict[str, Any] = {
            "handler": attempt.handler.name,
            "attempt": attempt.number,
            "state": outcome.state.value,
            "took_s": round(took_s, 6),
        }
        if failure is None:
            _log.info("job.finished", **line)
            return
        line |= {"error_type": failure.type, "error": failure.message}
        if outcome.state is State.DEAD:
            _log.error("job.dead", reason=outcome.reason, **line)
        else:
            _log.warning("job.retrying", retry_in_s=round(outcome.wait / timedelta(seconds=1), 3), **line)


def _outcome_of_error(attempt: Attempt, error: BaseException) -> Outcome:
    """What the handler's error leads to: its own, or that of the time limit which made it."""
    if (known := decided_in(error)) is not None:
        return known
    if attempt.is_late and isinstance(error, asyncio.CancelledError | TimeoutError):
        error = TimeLimitExceeded(attempt.handler.time_limit)
    elif not isinstance(error, Exception):
        error = HandlerGaveUp(error)
    return verdict.of_error(attempt.handler, error, attempt.number)


def _is_cancelled_from_outside(attempt: Attempt) -> bool:
    """Whether somebody cancelled this task; a handler may also await what was cancelled elsewhere."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > attempt.is_late
