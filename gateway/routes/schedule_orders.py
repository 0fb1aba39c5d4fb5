"""Orders to a schedule over HTTP: run it now, pause it, resume it; what it will do, and what it did."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response, status
from pydantic import BaseModel, ConfigDict, Field

from gateway.door.accepted import RETRY_AFTER, AcceptedEvent, json_response, of_event
from gateway.door.json_body import documented_body, json_body
from gateway.door.keys import Scope, needs, principal_of
from gateway.door.pages import Limit, json_answer
from gateway.door.problem_kinds import (
    CONFLICT,
    EDITED_MEANWHILE,
    INVALID,
    INVALID_DATA,
    MALFORMED_JSON,
    NOT_FOUND,
    UNKNOWN_TYPE,
    UNSUPPORTED_MEDIA_TYPE,
)
from gateway.door.problems import Refused, documented, of_contract
from gateway.parts import EngineDep, LedgerDep, parts_of
from gateway.routes.schedules import IfMatch, answer, is_name, known
from gateway.schedules.checking import checked
from gateway.schedules.etags import honour_match
from gateway.schedules.views import (
    MOST_FIRES,
    PREVIEWED,
    Preview,
    ScheduleView,
    TickView,
    preview_of,
    tick_view,
)
from shared.clock import from_rfc3339, rfc3339
from shared.contracts import Envelope
from shared.errors import ContractError, Problem
from shared.schedules import Definition, Instant, Note, book, ledger, tick_event
from shared.telemetry import Tracing, get_logger

router = APIRouter(prefix="/v1/schedules/{name}", tags=["schedules"])
log = get_logger()


class Pause(BaseModel):
    """Why a schedule is paused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    note: Note | None = Field(default=None, examples=["the warehouse counts its stock"])


class RunNow(AcceptedEvent):
    """A tick by hand: its event is committed, its jobs follow."""

    schedule: str
    tick: str


class TickPage(BaseModel):
    """Ticks, newest first."""

    items: list[TickView]
    next: str | None


@router.post(
    "/run",
    status_code=status.HTTP_202_ACCEPTED,
    dependencies=[needs(Scope.OPERATE)],
    summary="Run a schedule now",
    response_model=None,
    responses={202: {"model": RunNow}, **documented(NOT_FOUND, EDITED_MEANWHILE, CONFLICT, INVALID_DATA)},
)
async def run_schedule(request: Request, name: str, if_match: IfMatch = None) -> Response:
    """Publish the schedule's event now, as a tick of this instant; also while it is paused.

    Tick and event are one commit. The ticks that are due by the schedule are not touched.
    """
    parts = parts_of(request)
    async with parts.ledger.transaction() as transaction:
        entry = await known(transaction.connection, name)
        honour_match(if_match, entry)
        now = await book.database_now(transaction.connection)
        event = _event(entry.definition, now, parts.tracing)
        if not await ledger.run_by_hand(transaction.connection, entry.definition, now):
            raise Refused(CONFLICT, "the schedule had a tick at this very instant; repeat the request")
        await transaction.write(event)
    log.info("schedule.run", schedule=name, event_id=event.id, key=principal_of(request.scope).hex()[:12])
    event_id, expected, trace_id = await of_event(event, parts.jobs)
    document = {
        "event_id": event_id,
        "type": event.type,
        "schedule": name,
        "tick": rfc3339(now),
        "jobs": expected,
        "trace_id": trace_id,
    }
    headers = {"Location": f"/v1/events/{event_id}", "Retry-After": RETRY_AFTER}
    return json_response(document, status.HTTP_202_ACCEPTED, headers)


@router.post(
    "/pause",
    dependencies=[needs(Scope.OPERATE)],
    summary="Pause a schedule",
    response_model=ScheduleView,
    responses=documented(NOT_FOUND, EDITED_MEANWHILE, MALFORMED_JSON, UNSUPPORTED_MEDIA_TYPE, INVALID),
    openapi_extra=documented_body(Pause, note={"note": "the warehouse counts its stock"}),
)
async def pause_schedule(
    request: Request,
    name: str,
    body: Annotated[Pause, json_body(Pause, may_be_missing=True)],
    book_of: LedgerDep,
    if_match: IfMatch = None,
) -> Response:
    """Skip the schedule's ticks until it is resumed; each is in the ledger, with the cause `paused`."""
    async with book_of.transaction() as transaction:
        entry = await known(transaction.connection, name, to_edit=True)
        honour_match(if_match, entry)
        entry = await book.pause(transaction.connection, name, body.note)
        log.info("schedule.paused", schedule=name, key=principal_of(request.scope).hex()[:12])
        return await answer(transaction.connection, entry)


@router.post(
    "/resume",
    dependencies=[needs(Scope.OPERATE)],
    summary="Resume a schedule",
    response_model=ScheduleView,
    responses=documented(NOT_FOUND, EDITED_MEANWHILE, INVALID, UNKNOWN_TYPE, INVALID_DATA),
)
async def resume_schedule(
    request: Request, name: str, book_of: LedgerDep, if_match: IfMatch = None
) -> Response:
    """Let the schedule fire again, from its next tick on; the ticks of the pause are not made up for."""
    async with book_of.transaction() as transaction:
        entry = await known(transaction.connection, name, to_edit=True)
        honour_match(if_match, entry)
        checked(entry.definition)
        entry = await book.resume(transaction.connection, entry)
        log.info("schedule.resumed", schedule=name, key=principal_of(request.scope).hex()[:12])
        return await answer(transaction.connection, entry)


@router.get(
    "/preview",
    dependencies=[needs(Scope.READ)],
    summary="The next ticks of a schedule",
    response_model=Preview,
    responses=documented(NOT_FOUND, INVALID),
)
async def preview_schedule(
    name: str,
    engine: EngineDep,
    count: Annotated[int, Query(ge=1, le=MOST_FIRES)] = PREVIEWED,
    from_: Annotated[
        Instant | None, Query(alias="from", description="Ticks after this instant; unset: after now.")
    ] = None,
) -> Response:
    """The ticks to come, in UTC and in the schedule's time zone; `dst` says where clocks are put."""
    async with engine.connect() as connection:
        definition = (await known(connection, name)).definition
        begin = from_ or await book.database_now(connection)
    return json_answer(preview_of(definition, begin, count))


@router.get(
    "/ticks",
    dependencies=[needs(Scope.READ)],
    summary="What became of a schedule's ticks",
    response_model=TickPage,
    responses=documented(INVALID),
)
async def list_ticks(
    name: str,
    engine: EngineDep,
    limit: Limit = 50,
    cursor: Annotated[str | None, Query(description="`next` of the page before.")] = None,
) -> Response:
    """The ledger, newest first: each tick that fired or was skipped, and why; also of a removed schedule."""
    before = _place(cursor)
    async with engine.connect() as connection:
        found = await ledger.page(connection, name, before=before, limit=limit + 1) if is_name(name) else []
        if not found and before is None:
            await known(connection, name)
    shown = found[:limit]
    next_ = rfc3339(shown[-1].tick) if len(found) > limit else None
    return json_answer({"items": [tick_view(tick) for tick in shown], "next": next_})


def _event(definition: Definition, now: datetime, tracing: Tracing) -> Envelope:
    try:
        event = tick_event(definition, now, now=now)
    except ContractError as error:
        raise of_contract(error, under="/data") from None
    event.attributes["traceparent"] = tracing.create(event.type, event.id)
    return event


def _place(cursor: str | None) -> datetime | None:
    try:
        return from_rfc3339(cursor) if cursor is not None else None
    except ValueError:
        raise Refused(
            INVALID, "cursor: is none of ours", errors=[Problem("/cursor", "is none of ours")]
        ) from None
