"""A job's id in, the facts that decide whether it can run out; gathered side by side."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from gateway.door.uuids import as_uuid
from gateway.history.jobs import Jobs
from gateway.ledger.ledger import Ledger
from gateway.ledger.relay import Relay
from gateway.operations.backlogs import Backlogs, HandlerBacklog
from gateway.operations.explanation import Cause, Facts, LedgerFacts, QueuePlace, causes
from shared.bus.redis_streams import Position
from shared.bus.redis_streams.wire import stream_of
from shared.clock import from_rfc3339
from shared.jobs import (
    FINAL,
    HandlerReader,
    HandlerRecord,
    JobReader,
    Registry,
    Standing,
    State,
    WorkerRecord,
    keys,
)


class _AtHandler(NamedTuple):
    handler: HandlerRecord | None
    standing: Standing | None
    workers: list[WorkerRecord]
    backlog: HandlerBacklog | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explainer:
    """Asks Redis, the ledger and the buses. Raises what Redis or Postgres raise when they are away."""

    jobs: Jobs
    reader: JobReader
    registry: Registry
    handlers: HandlerReader
    ledger: Ledger
    relay: Relay
    backlogs: Backlogs
    position: Position

    async def explain(self, job_id: str) -> tuple[dict[str, Any], list[Cause]] | None:
        """The job and why it does not run, the first cause first; None when nobody knows the job."""
        job = await self.jobs.get(job_id)
        if job is None:
            return None
        return job, causes(await self._facts(job))

    async def _facts(self, job: dict[str, Any]) -> Facts:
        name, event_id = job["handler"], job["event_id"]
        if job["state"] in FINAL:
            return _facts_of(job)
        hold, event, at_handler = await asyncio.gather(
            self.reader.hold(job["id"]), self._event(event_id), self._at_handler(name)
        )
        handler, standing, workers, backlog = at_handler
        next_start_at = None
        if handler is not None and standing is not None and hold.rate_due_at is not None:
            limits = standing.limits.over(handler.limits)
            next_start_at = limits.next_start_at(hold.rate_due_at, now=datetime.now(UTC))
        place = None
        if handler is not None and backlog is not None and job["state"] == State.QUEUED:
            place = await self._place(handler, event_id, backlog, is_live=hold.is_known)
        return _facts_of(
            job,
            is_live=hold.is_known,
            lease_until=hold.lease_until,
            is_cancelling=hold.is_cancelling,
            event=event,
            bus_is_away=job["event_type"] in self.relay.stuck_types,
            handler=handler,
            standing=standing,
            workers=workers,
            next_start_at=next_start_at,
            backlog=backlog,
            place=place,
        )

    async def _event(self, event_id: str) -> LedgerFacts | None:
        id_ = as_uuid(event_id)
        entry = await self.ledger.find(id_) if id_ else None
        if entry is None:
            return None
        return LedgerFacts(
            accepted_at=entry.accepted_at, published_at=entry.published_at, settled_at=entry.settled_at
        )

    async def _at_handler(self, name: str) -> _AtHandler:
        handler = (await self.registry.handlers()).get(name)
        if handler is None:
            return _AtHandler(None, None, [], None)
        workers, (standing,), (backlog,) = await asyncio.gather(
            self.registry.workers(), self.handlers.get([name]), self.backlogs.of([handler])
        )
        return _AtHandler(handler, standing, [one for one in workers if name in one.handlers], backlog)

    async def _place(
        self, handler: HandlerRecord, event_id: str, backlog: HandlerBacklog, *, is_live: bool
    ) -> QueuePlace | None:
        """A job that Redis knows comes through its handler's own queue, or is in a worker's hand."""
        stream = keys.queue(handler.name) if is_live else stream_of(handler.event_type)
        found = await self.position(stream, handler.name, event_id)
        if found.before is not None:
            return QueuePlace(before=found.before, is_exact=True)
        lag = 0 if found.is_whole else backlog.redis.lag
        if not is_live and backlog.nats is not None:
            lag += backlog.nats.lag
        return QueuePlace(before=lag - 1, is_exact=False) if lag else None


def _facts_of(job: dict[str, Any], **known: Any) -> Facts:
    nothing: dict[str, Any] = {
        "is_live": False,
        "lease_until": None,
        "is_cancelling": False,
        "event": None,
        "bus_is_away": False,
        "handler": None,
        "standing": None,
        "workers": [],
        "next_start_at": None,
        "backlog": None,
        "place": None,
    }
    instants = {name: _instant(job[name]) for name in ("started_at", "finished_at", "due_at")}
    return Facts(now=datetime.now(UTC), job=job, **instants, **{**nothing, **known})


def _instant(text: str | None) -> datetime | None:
    return from_rfc3339(text) if text else None
