"""Schedules over HTTP: entered, read, edited and removed; the scheduler keeps to them within a second."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query, Request, Response, status
from pydantic import BaseModel, JsonValue, RootModel
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.door.accepted import json_response
from gateway.door.json_body import documented_body, json_body
from gateway.door.keys import Scope, needs, principal_of
from gateway.door.pages import Limit, json_answer
from gateway.door.problem_kinds import (
    EDITED_MEANWHILE,
    IF_MATCH_REQUIRED,
    INVALID,
    INVALID_DATA,
    MALFORMED_JSON,
    NOT_FOUND,
    SCHEDULE_EXISTS,
    UNKNOWN_TYPE,
    UNSUPPORTED_MEDIA_TYPE,
)
from gateway.door.problems import Refused, documented
from gateway.parts import EngineDep, LedgerDep
from gateway.schedules.checking import checked
from gateway.schedules.etags import etag_of, require_match
from gateway.schedules.views import ScheduleView, schedule_view
from shared.schedules import Definition, Entry, book, ledger
from shared.telemetry import get_logger

router = APIRouter(prefix="/v1/schedules", tags=["schedules"])
log = get_logger()

_BAD_BODY: Final = (MALFORMED_JSON, UNSUPPORTED_MEDIA_TYPE, INVALID, UNKNOWN_TYPE, INVALID_DATA)

IfMatch = Annotated[
    str | None, Header(description="The ETag of what is edited; `*` for whatever it is by now.")
]


class ScheduleChange(RootModel[dict[str, JsonValue]]):
    """Fields of a schedule with their new values; those left out stay. Of cron and every give the new one."""


class SchedulePage(BaseModel):
    """Schedules by name."""

    items: list[ScheduleView]
    next: str | None


@router.get(
    "",
    dependencies=[needs(Scope.READ)],
    summary="All schedules",
    response_model=SchedulePage,
    responses=documented(INVALID),
)
async def list_schedules(
    engine: EngineDep,
    limit: Limit = 50,
    cursor: Annotated[str, Query(pattern=r"^[^\x00]*$", description="`next` of the page before.")] = "",
) -> Response:
    """Schedules by name, each with its latest tick."""
    async with engine.connect() as connection:
        entries = await book.page(connection, after=cursor, limit=limit + 1)
        shown = entries[:limit]
        items = await _views(connection, shown)
    return json_answer({"items": items, "next": shown[-1].definition.name if len(entries) > limit else None})


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    dependencies=[needs(Scope.OPERATE)],
    summary="Enter a schedule",
    response_model=None,
    responses={201: {"model": ScheduleView}, **documented(SCHEDULE_EXISTS, *_BAD_BODY)},
    openapi_extra=documented_body(
        Definition,
        cron={
            "name": "stock-report",
            "cron": "0 9 * * MON-FRI",
            "timezone": "Europe/Warsaw",
            "type": "email.requested",
            "data": {
                "email_id": "stock-{date}",
                "to": "ada@example.com",
                "subject": "Stock of {date}",
                "text": "Please count.",
            },
        },
        every={"name": "often", "every": "30s", "type": "cron.health_check", "misfire": "skip"},
    ),
)
async def enter_schedule(
    request: Request, body: Annotated[Definition, json_body(Definition)], book_of: LedgerDep
) -> Response:
    """Enter a schedule; its first tick is the first one after this instant."""
    definition = checked(body)
    async with book_of.transaction() as transaction:
        entry = await book.add(transaction.connection, definition)
    if entry is None:
        raise Refused(SCHEDULE_EXISTS, f"there is a schedule named {definition.name}")
    _tell("schedule.entered", request, definition.name)
    headers = {"Location": f"/v1/schedules/{definition.name}", "ETag": etag_of(entry)}
    return json_response(schedule_view(entry, None), status.HTTP_201_CREATED, headers)


@router.get(
    "/{name}",
    dependencies=[needs(Scope.READ)],
    summary="One schedule",
    response_model=ScheduleView,
    responses=documented(NOT_FOUND),
)
async def show_schedule(name: str, engine: EngineDep) -> Response:
    """A schedule with its latest tick; the ETag is that of its definition, which no tick changes."""
    async with engine.connect() as connection:
        return await answer(connection, await known(connection, name))


@router.patch(
    "/{name}",
    dependencies=[needs(Scope.OPERATE)],
    summary="Edit a schedule",
    response_model=ScheduleView,
    responses=documented(NOT_FOUND, EDITED_MEANWHILE, IF_MATCH_REQUIRED, *_BAD_BODY),
    openapi_extra=documented_body(
        ScheduleChange, later={"cron": "0 10 * * MON-FRI"}, policy={"misfire": "skip", "overlap": "skip"}
    ),
)
async def edit_schedule(
    request: Request,
    name: str,
    change: Annotated[ScheduleChange, json_body(ScheduleChange)],
    book_of: LedgerDep,
    if_match: IfMatch = None,
) -> Response:
    """Change a schedule. New times begin at this instant: the next tick is the first one after it."""
    async with book_of.transaction() as transaction:
        connection = transaction.connection
        entry = await known(connection, name, to_edit=True)
        require_match(if_match, entry)
        definition = checked(entry.definition.changed(change.root))
        if definition.name != name:
            raise Refused(INVALID, "name: cannot be changed; enter a new schedule and remove this one")
        entry = await book.edit(connection, entry, definition)
        _tell("schedule.edited", request, name)
        return await answer(connection, entry)


@router.delete(
    "/{name}",
    status_code=status.HTTP_204_NO_CONTENT,
    dependencies=[needs(Scope.OPERATE)],
    summary="Remove a schedule",
    responses=documented(NOT_FOUND, EDITED_MEANWHILE, IF_MATCH_REQUIRED),
)
async def remove_schedule(
    request: Request, name: str, book_of: LedgerDep, if_match: IfMatch = None
) -> Response:
    """Remove a schedule for good; its ticks stay in the ledger, and no file of schedules brings it back."""
    async with book_of.transaction() as transaction:
        entry = await known(transaction.connection, name, to_edit=True)
        require_match(if_match, entry)
        await book.remove(transaction.connection, name)
    _tell("schedule.removed", request, name)
    return Response(status_code=status.HTTP_204_NO_CONTENT)


async def known(connection: AsyncConnection, name: str, *, to_edit: bool = False) -> Entry:
    """The schedule; Refused with 404 when there is none of the name."""
    entry = await book.find(connection, name, to_edit=to_edit) if is_name(name) else None
    if entry is None:
        raise Refused(NOT_FOUND, "no schedule has this name")
    return entry


def is_name(text: str) -> bool:
    """Whether Postgres can be asked for it: it has no text with a NUL."""
    return "\0" not in text


async def answer(connection: AsyncConnection, entry: Entry) -> Response:
    """The schedule with its ETag."""
    [view] = await _views(connection, [entry])
    response = json_answer(view)
    response.headers["ETag"] = etag_of(entry)
    return response


async def _views(connection: AsyncConnection, entries: list[Entry]) -> list[dict[str, Any]]:
    last = await ledger.latest(connection, [entry.definition.name for entry in entries])
    return [schedule_view(entry, last.get(entry.definition.name)) for entry in entries]


def _tell(what: str, request: Request, name: str) -> None:
    log.info(what, schedule=name, key=principal_of(request.scope).hex()[:12])
