"""Users are told something by mail: a durable job; after the answer an audit line and the drop of a cache."""

from typing import Annotated, Self
from uuid import UUID

from fastapi import APIRouter, BackgroundTasks, Query, Request, status
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from starlette.responses import Response

from gateway.door.accepted import RETRY_AFTER, AcceptedJob, announced, json_response, of_event
from gateway.door.email_address import EmailAddress
from gateway.door.json_body import documented_body, json_body
from gateway.door.keys import Scope, needs, principal_of
from gateway.door.pages import Limit
from gateway.door.problem_kinds import (
    BODY_TOO_LARGE,
    INVALID,
    MALFORMED_JSON,
    NOT_FOUND,
    UNKNOWN_USER,
    UNSUPPORTED_MEDIA_TYPE,
)
from gateway.door.problems import Refused, documented
from gateway.door.uuids import as_uuid
from gateway.notifications import notifications
from gateway.notifications.audit import Line, write_line
from gateway.notifications.notifications import PAGE
from gateway.parts import NotificationsDep, parts_of
from gateway.session import SessionDep
from shared.contracts import EmailRequested, new_id
from shared.errors import Problem

router = APIRouter(tags=["notifications"])

Subject = Annotated[str, StringConstraints(min_length=1, max_length=998, pattern=r"^[^\x00-\x1f\x7f]+$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=200_000)]


class NewNotification(BaseModel):
    """What somebody is to be told: a user by id, or whoever reads an address."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    user_id: str | None = Field(default=None, examples=["0192f0c1-7a3b-7cde-8f01-23456789abcd"])
    email: EmailAddress | None = Field(default=None, examples=["ada@example.com"])
    subject: Subject = Field(examples=["Your parcel is on its way"])
    text: Text = Field(examples=["It will be with you tomorrow."])

    @model_validator(mode="after")
    def _one_recipient(self) -> Self:
        if (self.user_id is None) == (self.email is None):
            raise ValueError("give either user_id or email")
        return self


class RequestedNotification(BaseModel):
    """The mail is committed, and on its way to the email service."""

    id: str
    status: str = Field(examples=["requested"])
    user_id: str | None = Field(description="Null for an address that is no user's")
    event_id: str
    jobs: list[AcceptedJob]
    trace_id: str | None


class NotificationView(BaseModel):
    """What a user was told; the event's jobs tell whether the mail was sent."""

    id: str
    subject: str
    event_id: str
    created_at: str


class NotificationPage(BaseModel):
    """Notifications, newest first; `next` is the cursor of the next page, null on the last."""

    items: list[NotificationView]
    next: str | None


@router.post(
    "/v1/notifications",
    status_code=status.HTTP_202_ACCEPTED,
    dependencies=[needs(Scope.PUBLISH)],
    summary="Tell a user something",
    response_model=None,
    responses={
        202: {"model": RequestedNotification, "description": "Committed; Location says where to look next."},
        **documented(MALFORMED_JSON, BODY_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE, INVALID, UNKNOWN_USER),
    },
    openapi_extra=documented_body(
        NewNotification,
        user={
            "user_id": "0192f0c1-7a3b-7cde-8f01-23456789abcd",
            "subject": "Your parcel is on its way",
            "text": "It will be with you tomorrow.",
        },
        address={"email": "ada@example.com", "subject": "Hello", "text": "Good morning."},
    ),
)
async def notify(
    wanted: Annotated[NewNotification, json_body(NewNotification)],
    request: Request,
    tasks: BackgroundTasks,
    session: SessionDep,
) -> Response:
    """Tell a user something by mail, and answer at once.

    The mail must not be lost: it is a job, committed before the answer. The cache and the audit are looked
    after once the answer is out, in this process: a kill in between loses them, and nothing else.
    """
    parts = parts_of(request)
    async with parts.ledger.transaction() as transaction:
        told = await notifications.recipient(
            transaction.connection, user_id=wanted.user_id, email=wanted.email
        )
        if told is None:
            raise Refused(
                UNKNOWN_USER, "no user has this id", errors=[Problem("/user_id", "no user has this id")]
            )
        mail = _mail(told.email, wanted)
        event = announced(mail, parts.tracing)
        await notifications.enter(transaction.connection, mail, user_id=told.user_id, event_id=event.id)
        await transaction.write(event)
    event_id, expected, trace_id = await of_event(event, parts.jobs)

    line = Line(
        actor=principal_of(request.scope).hex()[:12] or "everybody",
        action="notification.requested",
        target=mail.email_id,
        event_id=event_id,
        trace_id=trace_id,
    )
    tasks.add_task(parts.faults.after_answer)
    if told.user_id is not None:
        tasks.add_task(parts.notifications.cache.drop, told.user_id)
    tasks.add_task(write_line, session, line)

    location = expected[0]["href"] if len(expected) == 1 else f"/v1/events/{event_id}"
    document = {
        "id": mail.email_id,
        "status": "requested",
        "user_id": told.user_id,
        "event_id": event_id,
        "jobs": expected,
        "trace_id": trace_id,
    }
    return json_response(
        document, status.HTTP_202_ACCEPTED, {"Location": location, "Retry-After": RETRY_AFTER}
    )


@router.get(
    "/v1/users/{user_id}/notifications",
    dependencies=[needs(Scope.READ)],
    summary="What a user was told",
    response_model=None,
    responses={200: {"model": NotificationPage}, **documented(NOT_FOUND)},
)
async def list_notifications(
    user_id: str,
    found: NotificationsDep,
    cursor: Annotated[
        UUID | None, Query(description="`next` of the page before; the first page without.")
    ] = None,
    limit: Limit = PAGE,
) -> Response:
    """What a user was told, newest first; the first page comes from a cache where it can."""
    id_ = as_uuid(user_id)
    page = await found.page(id_, after=str(cursor) if cursor else None, limit=limit) if id_ else None
    if page is None:
        raise Refused(NOT_FOUND, "no user has this id")
    return Response(page, media_type="application/json", headers={"Cache-Control": "no-store"})


def _mail(to: str, wanted: NewNotification) -> EmailRequested:
    """The contract has the last word on what an address may be."""
    try:
        return EmailRequested(email_id=new_id(), to=to, subject=wanted.subject, text=wanted.text)
    except ValidationError as error:
        why = error.errors()[0]["msg"]
        raise Refused(INVALID, f"email: {why}", errors=[Problem("/email", why)]) from None
