"""Where jobs stand: an id or an event in, jobs out; Redis knows what is live, Postgres the rest."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final, TypedDict
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.door.problems import unavailable
from gateway.history.counts import count_by_state
from gateway.history.fingerprints import fingerprint_of
from gateway.history.history import History, Page
from gateway.history.job_filter import Cursor, Filter
from gateway.history.unclaimed import Unclaimed, is_named, queued
from gateway.ledger.event_list import ListedEvent
from gateway.ledger.later import due_at
from gateway.ledger.registered import RegisteredHandlers
from shared.bus.redis_streams import UNAVAILABLE
from shared.clock import from_rfc3339, rfc3339
from shared.jobs import HandlerRecord, JobReader, JobRecord, Registry, State, keys
from shared.telemetry import get_logger, trace_id_of

log = get_logger()

READ_LIMIT_S: Final = 2.0
"""A Redis that does not answer within this time counts as away."""

_ACCEPTED: Final = text(
    "SELECT accepted_at, held_until, attributes ->> 'traceparent' AS traceparent"
    " FROM gateway.events WHERE id = :id AND type = :type"
    " AND coalesce(attributes ->> 'handler', :handler) = :handler"
)


class JobLink(TypedDict):
    """A job as an accepted request names it."""

    id: str
    handler: str
    state: str
    href: str


class Jobs:
    """Looks jobs up. Of the same job Redis is believed first, then the history, then the ledger."""

    def __init__(self, registry: Registry, reader: JobReader, engine: AsyncEngine) -> None:
        self.handlers = RegisteredHandlers(registry)
        self._reader = reader
        self._engine = engine
        self.history = History(engine)
        self._unclaimed = Unclaimed(engine)

    async def expected(self, event_type: str, event_id: str, *, handler: str | None = None) -> list[JobLink]:
        """The jobs that an event just accepted will have; costs no round trip, never fails.

        `handler` is the one that the event is for, where it is for one alone.
        """
        if handler is not None:
            return [_link(handler, event_id)]
        handlers = await self.handlers.of_type(event_type)
        return [_link(handler.name, event_id) for handler in handlers]

    async def get(self, job_id: str) -> dict[str, Any] | None:
        """The job; None when nobody knows it. Refused with 503 when Redis, which might know, is away."""
        try:
            handler, event_id = keys.split_job_id(job_id)
        except ValueError:
            return None
        live = await self._live([job_id])
        if live and live[0]:
            return live[0]
        recorded = await self.history.get([job_id])
        if recorded:
            return recorded[job_id]
        if live is None:
            raise unavailable("Redis")
        return await self._accepted(handler, event_id) or await self._enqueued(handler, event_id)

    async def of_event(
        self, event_id: str, event_type: str, *, only: str | None = None
    ) -> list[dict[str, Any]]:
        """The jobs of an event that is in the ledger; those that nobody took up yet are queued.

        `only` is the handler that the event is for, where it is for one alone.
        """
        handlers = await self._handlers_of(event_type, only)
        jobs = await self._known(event_id, [handler.name for handler in handlers])
        return _whole(event_id, handlers, jobs)

    async def of_events(self, events: Sequence[ListedEvent]) -> dict[str, list[dict[str, Any]]]:
        """The jobs of each of these events, as `of_event` tells them; by the event's id.

        Of events that are settled the history alone is asked: all their jobs are final in it.
        """
        found = await self.history.of_events([UUID(event.id) for event in events])
        handlers = {event.id: await self._handlers_of(event.envelope.type, event.handler) for event in events}
        job_ids = {
            job_id
            for event in events
            if event.settled_at is None
            for job_id in (
                *(keys.job_id(one.name, event.id) for one in handlers[event.id]),
                *found.get(event.id, ()),
            )
        }
        for job in await self._live(sorted(job_ids)) or ():
            if job:
                found.setdefault(job["event_id"], {})[job["id"]] = job
        return {
            event.id: _whole(
                event.id,
                handlers[event.id] if event.settled_at is None else (),
                found.get(event.id, {}),
            )
            for event in events
        }

    async def page(self, wanted: Filter, *, after: Cursor | None, limit: int) -> Page:
        """A page of all jobs, newest first: those in the history, and those that wait for their first claim.

        `text` finds ids, what jobs failed with, and handlers by a part of their name or event type.
        """
        handlers = (await self.handlers.all()).values()
        named = [one.name for one in handlers if is_named(one, wanted.text)] if wanted.text else []
        # Before the history: what is claimed in between is then in both, not in neither.
        unclaimed = await self._unclaimed.newest(wanted, list(handlers), after=after, limit=limit + 1)
        recorded = await self.history.page(wanted, after=after, limit=limit, named=named)
        if not unclaimed:
            return recorded
        known = {job["id"] for job in recorded.items}
        found = recorded.items + [job for job in unclaimed if job["id"] not in known]
        found.sort(key=lambda job: (job["queued_at"], job["id"]), reverse=True)
        if len(found) <= limit and recorded.next is None:
            return Page(found, None)
        last = found[limit - 1]
        return Page(found[:limit], Cursor(from_rfc3339(last["queued_at"]), last["id"]))

    async def counts(self, wanted: Filter) -> dict[str, int]:
        """How many jobs there are in each state, as `page` would list them; no count passes counts.CAP."""
        handlers = list((await self.handlers.all()).values())
        async with self._engine.begin() as connection:
            return await count_by_state(connection, wanted, handlers)

    async def caused_by(self, event_id: str) -> list[dict[str, str]]:
        """`id` and `type` of the events that the jobs of this event caused."""
        jobs = await self._known(event_id, list(await self.handlers.all()))
        return [caused for job_id in sorted(jobs) for caused in jobs[job_id]["caused"]]

    async def _handlers_of(self, event_type: str, only: str | None) -> list[HandlerRecord]:
        """Who has a job when such an event comes; `only` is the one that it is for."""
        if only is None:
            return await self.handlers.of_type(event_type)
        return [one for one in (await self.handlers.all()).values() if one.name == only]

    async def _known(self, event_id: str, handlers: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The event's jobs by id: all that the history has, and over them what Redis says of `handlers`."""
        try:
            recorded = await self.history.of_event(UUID(event_id))
        except ValueError:
            recorded = {}
        job_ids = list(recorded.keys() | {keys.job_id(handler, event_id) for handler in handlers})
        live = await self._live(job_ids) or []
        return recorded | {job["id"]: job for job in live if job}

    async def _live(self, job_ids: Sequence[str]) -> Sequence[dict[str, Any] | None] | None:
        """What Redis knows of the jobs, nothing where it holds what nobody can read; None when it is away."""
        try:
            async with asyncio.timeout(READ_LIMIT_S):
                records = await self._reader.get(job_ids)
        except UNAVAILABLE as error:
            log.info("jobs.redis_away", error=str(error))
            return None
        except (ValueError, msgspec.MsgspecError, RecursionError) as error:
            log.warning("jobs.record_unreadable", job_ids=job_ids, error=str(error))
            return [None] * len(job_ids)
        return [shown(record) if record else None for record in records]

    async def _accepted(self, handler: str, event_id: str) -> dict[str, Any] | None:
        """The job that waits for its handler since the ledger took the event."""
        registered = (await self.handlers.all()).get(handler)
        if registered is None:
            return None
        try:
            wanted = {"id": UUID(event_id), "type": registered.event_type, "handler": handler}
        except ValueError:
            return None
        async with self._engine.connect() as connection:
            event = (await connection.execute(_ACCEPTED, wanted)).one_or_none()
        if event is None:
            return None
        trace_id = trace_id_of(event.traceparent)
        return queued(
            registered,
            event_id,
            queued_at=rfc3339(event.accepted_at),
            due_at=due_at(event.held_until),
            trace_id=trace_id,
        )

    async def _enqueued(self, handler: str, event_id: str) -> dict[str, Any] | None:
        """The job that was enqueued past the ledger, by a program on the bus, and waits for its handler."""
        registered = (await self.handlers.all()).get(handler)
        if registered is None:
            return None
        try:
            async with asyncio.timeout(READ_LIMIT_S):
                is_enqueued = await self._reader.is_enqueued(keys.job_id(handler, event_id))
        except UNAVAILABLE:
            raise unavailable("Redis") from None
        return queued(registered, event_id) if is_enqueued else None


def shown(record: JobRecord) -> dict[str, Any]:
    """The job as the REST API shows it; a result that is no JSON is left out."""
    try:
        job = record.to_api()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        log.warning("jobs.result_unreadable", job_id=record.id)
        job = msgspec.structs.replace(record, result=None).to_api()
    is_dead = record.state == State.DEAD
    job["fingerprint"] = (
        fingerprint_of(record.handler, record.error, record.reason).digits if is_dead else None
    )
    return job


def _whole(
    event_id: str, handlers: Sequence[HandlerRecord], known: dict[str, dict[str, Any]]
) -> list[dict[str, Any]]:
    """The known jobs of the event, and queued ones for handlers that nobody knows of any; by id."""
    waiting = {keys.job_id(one.name, event_id): queued(one, event_id) for one in handlers}
    return [job for _, job in sorted((waiting | known).items())]


def _link(handler: str, event_id: str) -> JobLink:
    job_id = keys.job_id(handler, event_id)
    return {"id": job_id, "handler": handler, "state": State.QUEUED.value, "href": f"/v1/jobs/{job_id}"}
