"""Users: registered with their event in one transaction, read by id or as a list."""

from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Query, status
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from starlette.responses import Response

from gateway.door.accepted import SOURCE, AcceptedJob, json_response, of_event
from gateway.door.email_address import EmailAddress
from gateway.door.json_body import documented_body, json_body
from gateway.door.keys import Scope, needs
from gateway.door.pages import Limit, json_answer
from gateway.door.problem_kinds import (
    BODY_TOO_LARGE,
    DUPLICATE_EMAIL,
    INVALID,
    MALFORMED_JSON,
    NOT_FOUND,
    UNSUPPORTED_MEDIA_TYPE,
)
from gateway.door.problems import Refused, documented
from gateway.door.uuids import as_uuid
from gateway.parts import EngineDep, JobsDep, LedgerDep, TracingDep
from gateway.tables import users
from shared.clock import rfc3339
from shared.contracts import UserRegistered, new_id, wrap

router = APIRouter(prefix="/v1/users", tags=["users"])

_REGISTERED: Final = "registered"

PersonName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$"),
]
"""The name of a person, on one line."""


class NewUser(BaseModel):
    """Who is to be registered."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: PersonName = Field(examples=["Ada Lovelace"])
    email: EmailAddress = Field(examples=["ada@example.com"])


class UserView(BaseModel):
    """A registered user."""

    id: str = Field(examples=["0192f0c1-7a3b-7cde-8f01-23456789abcd"])
    name: str
    email: str
    status: str = Field(examples=[_REGISTERED])
    created_at: str
    event_id: str


class RegisteredUser(UserView):
    """A user who was registered just now, and what follows from it."""

    jobs: list[AcceptedJob]
    trace_id: str | None


class UserPage(BaseModel):
    """Users, newest first; `next` is the cursor of the next page, null on the last."""

    items: list[UserView]
    next: str | None


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    dependencies=[needs(Scope.PUBLISH)],
    summary="Register a user",
    response_model=None,
    responses={
        201: {
            "model": RegisteredUser,
            "description": "Registered; the event user.registered is committed with it.",
        },
        **documented(MALFORMED_JSON, DUPLICATE_EMAIL, BODY_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE, INVALID),
    },
    openapi_extra=documented_body(NewUser, ada={"name": "Ada Lovelace", "email": "ada@example.com"}),
)
async def register_user(
    user: Annotated[NewUser, json_body(NewUser)], ledger: LedgerDep, jobs: JobsDep, tracing: TracingDep
) -> Response:
    """Register a user and say so to the system: the row and its event are one commit."""
    user_id, event_id = new_id(), new_id()
    event = wrap(
        UserRegistered(user_id=user_id, name=user.name, email=user.email),
        source=SOURCE,
        id=event_id,
        traceparent=tracing.create(UserRegistered.type, event_id),
    )
    row = {
        "id": user_id,
        "name": user.name,
        "email": user.email,
        "email_key": user.email.casefold(),
        "event_id": event_id,
    }
    try:
        async with ledger.transaction() as transaction:
            result = await transaction.connection.execute(insert(users).values(row).returning(users))
            created = result.one()
            await transaction.write(event)
    except IntegrityError:
        raise Refused(DUPLICATE_EMAIL, "a user with this email is registered already") from None
    _, expected, trace_id = await of_event(event, jobs)
    document = _view(created) | {"jobs": expected, "trace_id": trace_id}
    return json_response(document, status.HTTP_201_CREATED, {"Location": f"/v1/users/{user_id}"})


@router.get(
    "",
    dependencies=[needs(Scope.READ)],
    summary="Users",
    response_model=UserPage,
    responses=documented(INVALID),
)
async def list_users(
    engine: EngineDep,
    cursor: Annotated[
        UUID | None, Query(description="`next` of the page before; the first page without.")
    ] = None,
    limit: Limit = 50,
) -> Response:
    """Registered users, newest first."""
    query = select(users).order_by(users.c.id.desc()).limit(limit + 1)
    if cursor is not None:
        query = query.where(users.c.id < str(cursor))
    async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        rows = (await connection.execute(query)).all()
    next_ = rows[limit - 1].id if len(rows) > limit else None
    return json_answer({"items": [_view(row) for row in rows[:limit]], "next": next_})


@router.get(
    "/{user_id}",
    dependencies=[needs(Scope.READ)],
    summary="One user",
    response_model=None,
    responses={200: {"model": UserView}, **documented(NOT_FOUND)},
)
async def get_user(user_id: str, engine: EngineDep) -> Response:
    """A registered user."""
    id_ = as_uuid(user_id)
    row = None
    if id_:
        async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            row = (await connection.execute(select(users).where(users.c.id == id_))).one_or_none()
    if row is None:
        raise Refused(NOT_FOUND, "no user has this id")
    return json_response(_view(row), status.HTTP_200_OK)


def _view(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "email": row.email,
        "status": _REGISTERED,
        "created_at": rfc3339(row.created_at),
        "event_id": row.event_id,
    }
