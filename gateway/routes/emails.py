"""Mails to be sent: a request in, the event email.requested committed, 202 out."""

from typing import Annotated

from fastapi import APIRouter, status
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.responses import Response

from gateway.door.accepted import RETRY_AFTER, SOURCE, AcceptedJob, json_response, of_event
from gateway.door.email_address import EmailAddress
from gateway.door.json_body import documented_body, invalid, json_body
from gateway.door.keys import Scope, needs
from gateway.door.problem_kinds import BODY_TOO_LARGE, INVALID, MALFORMED_JSON, UNSUPPORTED_MEDIA_TYPE
from gateway.door.problems import documented
from gateway.parts import JobsDep, LedgerDep, TracingDep
from shared.contracts import Attachment, EmailRequested, new_id, wrap

router = APIRouter(prefix="/v1/emails", tags=["emails"])


class NewEmail(BaseModel):
    """A mail: by a template with its fields, or with subject and text (and html)."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    to: EmailAddress = Field(examples=["ada@example.com"])
    template: str | None = Field(default=None, examples=["welcome"])
    fields: dict[str, str | int | float | bool | None] = Field(default_factory=dict)
    subject: str | None = Field(default=None, max_length=998)
    text: str | None = Field(default=None, max_length=200_000)
    html: str | None = Field(default=None, max_length=200_000)
    attachments: list[Attachment] = Field(
        default_factory=list[Attachment], max_length=10, description="By their keys in the object store"
    )


class RequestedEmail(BaseModel):
    """The mail is on its way to the email service."""

    id: str = Field(examples=["0192f0c1-7a3b-7cde-8f01-23456789abcd"])
    status: str = Field(examples=["requested"])
    event_id: str
    jobs: list[AcceptedJob]
    trace_id: str | None


@router.post(
    "",
    status_code=status.HTTP_202_ACCEPTED,
    dependencies=[needs(Scope.PUBLISH)],
    summary="Send a mail",
    response_model=None,
    responses={
        202: {"model": RequestedEmail, "description": "Committed; Location says where to look next."},
        **documented(MALFORMED_JSON, BODY_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE, INVALID),
    },
    openapi_extra=documented_body(
        NewEmail,
        template={"to": "ada@example.com", "template": "welcome", "fields": {"name": "Ada"}},
        text={"to": "ada@example.com", "subject": "Hello", "text": "Good morning."},
    ),
)
async def request_email(
    email: Annotated[NewEmail, json_body(NewEmail)], ledger: LedgerDep, jobs: JobsDep, tracing: TracingDep
) -> Response:
    """Queue the mail and answer at once."""
    email_id, event_id = new_id(), new_id()
    event = wrap(
        _requested(email_id, email),
        source=SOURCE,
        id=event_id,
        traceparent=tracing.create(EmailRequested.type, event_id),
    )
    await ledger.accept([event])
    _, expected, trace_id = await of_event(event, jobs)
    # Where one handler sends the mail, its job is what the caller waits for.
    location = expected[0]["href"] if len(expected) == 1 else f"/v1/events/{event_id}"
    return json_response(
        {"id": email_id, "status": "requested", "event_id": event_id, "jobs": expected, "trace_id": trace_id},
        status.HTTP_202_ACCEPTED,
        {"Location": location, "Retry-After": RETRY_AFTER},
    )


def _requested(email_id: str, email: NewEmail) -> EmailRequested:
    """The contract has the last word on what a mail may be."""
    try:
        return EmailRequested(
            email_id=email_id, attachments=email.attachments, **email.model_dump(exclude={"attachments"})
        )
    except ValidationError as error:
        raise invalid(error) from None
