"""Groups over HTTP: events in, with the one that follows when all are done with; a group's state out."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import APIRouter, Request, status
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue
from pydantic_core import to_json
from starlette.responses import Response

from gateway.door.accepted import RETRY_AFTER, SOURCE, json_response
from gateway.door.http_events import check_event
from gateway.door.json_body import documented_body, json_body
from gateway.door.keys import Scope, needs
from gateway.door.problem_kinds import (
    BODY_TOO_LARGE,
    EVENT_TOO_LARGE,
    ID_TAKEN,
    INVALID,
    INVALID_DATA,
    INVALID_EVENT,
    MALFORMED_JSON,
    NOT_FOUND,
    UNKNOWN_TYPE,
    UNSUPPORTED_MEDIA_TYPE,
)
from gateway.door.problems import Refused, documented, of_contract
from gateway.door.uuids import as_uuid
from gateway.ledger import groups
from gateway.ledger.groups import GroupState
from gateway.ledger.known import IdTaken
from gateway.parts import EngineDep, Parts, parts_of
from shared.clock import rfc3339
from shared.contracts import CATALOGUE, DELIVER_AT, EXPIRES_AT, Envelope, envelope, new_id
from shared.errors import EnvelopeError, Problem
from shared.jobs import GROUP_ID, MEMBERS_MAX, then_id

_BREATH: Final = 100
"""After so many events other requests have their turn."""

router = APIRouter(prefix="/v1/groups", tags=["groups"])

_EXAMPLE: Final = {
    "events": [
        {
            "type": "email.requested",
            "data": {"email_id": f"m-{n}", "to": to, "subject": "Invitation", "text": "Come!"},
        }
        for n, to in enumerate(("ada@example.com", "grace@example.com"))
    ],
    "then": {
        "type": "email.requested",
        "data": {"email_id": "m-done", "to": "host@example.com", "subject": "Done", "text": "All are asked."},
    },
}


class EventToCome(BaseModel):
    """An event by its type and data."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    type: str = Field(examples=["email.requested"])
    data: dict[str, JsonValue] = Field(description="What the contract of the type asks for")


class NewMember(EventToCome):
    """An event of a group."""

    id: str | None = Field(
        default=None, min_length=1, description="Its own id, by which it is known when it comes again"
    )
    deliver_at: AwareDatetime | None = Field(default=None, description="None of its jobs starts before")
    expires_at: AwareDatetime | None = Field(default=None, description="None of its jobs starts after")


class NewGroup(BaseModel):
    """Events, and the one that follows when all their jobs have ended, however they end."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    events: list[NewMember] = Field(max_length=MEMBERS_MAX)
    then: EventToCome


class Following(BaseModel):
    """The event that follows the group."""

    id: str
    type: str = Field(examples=["email.requested"])


class OpenedGroup(BaseModel):
    """A group that was opened just now."""

    id: str = Field(examples=["0192f0c1-7a3b-7cde-8f01-23456789abcd"])
    state: Literal["open", "completed"]
    members: int = Field(description="How many events it has")
    events: list[str] = Field(description="Their ids, in the order of the request")
    then: Following


class GroupView(BaseModel):
    """A group. It is completed when all its events are settled; then follows `then`."""

    id: str
    state: Literal["open", "completed"]
    members: int
    settled: int = Field(description="How many of them have no job any more that could run")
    failed: int = Field(description="How many of these have a job that did not succeed")
    then: Following
    opened_by: str | None = Field(description="The job that returned it; null for one that was posted")
    created_at: str
    completed_at: str | None


@router.post(
    "",
    status_code=status.HTTP_202_ACCEPTED,
    dependencies=[needs(Scope.PUBLISH)],
    summary="Publish events as a group",
    response_model=None,
    responses={
        202: {"model": OpenedGroup, "description": "Committed, all of it; Location says where to look."},
        **documented(
            MALFORMED_JSON,
            INVALID_EVENT,
            ID_TAKEN,
            BODY_TOO_LARGE,
            EVENT_TOO_LARGE,
            UNSUPPORTED_MEDIA_TYPE,
            INVALID,
            UNKNOWN_TYPE,
            INVALID_DATA,
        ),
    },
    openapi_extra=documented_body(NewGroup, mails=_EXAMPLE),
)
async def open_group(body: Annotated[NewGroup, json_body(NewGroup)], request: Request) -> Response:
    """Take events together, and the one that follows when all their jobs have ended.

    However they end: succeeded, dead, cancelled or expired. The event that follows says in its attributes
    `groupsize` and `groupfailed` how it went. Without events it follows at once. All is one commit.
    """
    parts = parts_of(request)
    id_ = new_id()
    then = _envelope(body.then, parts, "/then", {"id": then_id(id_), GROUP_ID: id_})
    members: list[Envelope] = []
    for n, member in enumerate(body.events):
        own = {"id": member.id or new_id(), GROUP_ID: id_, **_instants(member)}
        members.append(_envelope(member, parts, f"/events/{n}", own))
        if n % _BREATH == 0:
            await asyncio.sleep(0)
    _refuse_twins(members)
    group = groups.GroupEntry(id_, None, then, [member.id for member in members])
    try:
        async with parts.ledger.transaction() as transaction:
            await transaction.accept(members)
            await groups.open_groups(transaction.connection, [group])
            # Its events may have been settled before, for a known id does nothing.
            await groups.mark(transaction.connection, groups=[id_])
            following = await groups.complete(transaction.connection, [id_])
            transaction.written += following
    except IdTaken as taken:
        raise Refused(ID_TAKEN, str(taken)) from None
    document = {
        "id": id_,
        "state": "completed" if following else "open",
        "members": len(members),
        "events": group.members,
        "then": {"id": then.id, "type": then.type},
    }
    headers = {"Location": f"/v1/groups/{id_}", "Retry-After": RETRY_AFTER}
    return json_response(document, status.HTTP_202_ACCEPTED, headers)


@router.get(
    "/{group_id}",
    dependencies=[needs(Scope.READ)],
    summary="How far a group has come",
    response_model=None,
    responses={200: {"model": GroupView}, **documented(NOT_FOUND)},
)
async def get_group(group_id: str, engine: EngineDep) -> Response:
    """A group that was posted or returned by a handler."""
    id_ = as_uuid(group_id)
    state = None
    if id_:
        async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            state = await groups.find(connection, id_)
    if id_ is None or state is None:
        raise Refused(NOT_FOUND, "no group has this id")
    return json_response(_view(id_, state), status.HTTP_200_OK)


def _envelope(event: EventToCome, parts: Parts, where: str, own: dict[str, str]) -> Envelope:
    """The event in its envelope, checked; Refused with pointers below `where`."""
    attributes = {
        "source": SOURCE,
        "type": event.type,
        "time": rfc3339(datetime.now(UTC)),
        "datacontenttype": "application/json",
        "correlationid": own[GROUP_ID],
        **own,
    }
    try:
        one = envelope(attributes, to_json(event.data))
    except EnvelopeError as error:
        raise of_contract(error, under=where) from None
    check_event(one, CATALOGUE, parts.settings.event_max, under=f"{where}/data")
    traceparent = parts.tracing.create(one.type, one.id)
    return msgspec.structs.replace(one, attributes={**one.attributes, "traceparent": traceparent})


def _instants(member: NewMember) -> dict[str, str]:
    instants = {DELIVER_AT: member.deliver_at, EXPIRES_AT: member.expires_at}
    return {name: rfc3339(instant) for name, instant in instants.items() if instant is not None}


def _refuse_twins(members: list[Envelope]) -> None:
    seen: set[str] = set()
    for n, member in enumerate(members):
        if member.id in seen:
            twice = Problem(f"/events/{n}/id", "is given twice")
            raise Refused(INVALID, f"{twice.pointer[1:]}: {twice.detail}", errors=[twice])
        seen.add(member.id)


def _view(id_: str, state: GroupState) -> dict[str, Any]:
    return {
        "id": id_,
        "state": "completed" if state.completed_at else "open",
        "members": state.members,
        "settled": state.settled,
        "failed": state.failed,
        "then": {"id": state.then.id, "type": state.then.type},
        "opened_by": state.opened_by,
        "created_at": rfc3339(state.created_at),
        "completed_at": rfc3339(state.completed_at) if state.completed_at else None,
    }
