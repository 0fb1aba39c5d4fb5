"""Direct jobs over HTTP: a handler's name and data in, one job committed, 202 with where it is out."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Request, Response, status
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from gateway.door.accepted import RETRY_AFTER, SOURCE, AcceptedEvent, json_response, of_event
from gateway.door.json_body import documented_body, json_body
from gateway.door.keys import Scope, needs
from gateway.door.problem_kinds import (
    BODY_TOO_LARGE,
    EVENT_TOO_LARGE,
    ID_TAKEN,
    INVALID,
    INVALID_DATA,
    MALFORMED_JSON,
    UNIQUE_KEY_IN_FLIGHT,
    UNKNOWN_HANDLER,
    UNKNOWN_TYPE,
    UNSUPPORTED_MEDIA_TYPE,
)
from gateway.door.problems import Refused, documented, of_contract
from gateway.ledger.known import IdTaken
from gateway.parts import Parts, parts_of
from shared.bus import UNIQUE_FOR, Order, direct_event
from shared.clock import from_rfc3339
from shared.contracts import CATALOGUE, Envelope
from shared.errors import ContractError, Problem, UnknownHandler
from shared.jobs import HandlerRecord, keys

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])


def _instant(value: object) -> datetime:
    try:
        return from_rfc3339(value if isinstance(value, str) else "")
    except ValueError:
        raise ValueError("must be an RFC 3339 instant with its offset") from None


def _printable(value: str) -> str:
    if not value.isprintable():
        raise ValueError("must be printable text")
    return value


Instant = Annotated[
    datetime, PlainValidator(_instant), WithJsonSchema({"type": "string", "format": "date-time"})
]
Printable = Annotated[str, StringConstraints(min_length=1, max_length=255), AfterValidator(_printable)]


class NewJob(BaseModel):
    """A job for one handler."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    handler: str = Field(examples=["email.send"], description="One of those that GET /v1/handlers lists.")
    data: dict[str, Any] = Field(description="The data of the event type that the handler works on.")
    deliver_at: Instant | None = Field(default=None, description="The job does not start before.")
    expires_at: Instant | None = Field(default=None, description="The job does not start after; it expires.")
    unique_key: Printable | None = Field(
        default=None, description="While a job of this handler with the same key stands, no other is added."
    )
    unique_for: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="For how many seconds the key stands; 3600 when not given, DEAD_TTL at most (30 days).",
    )
    id: Printable | None = Field(
        default=None, description="The event's id: the same id with the same data again is the same job."
    )

    @field_validator("expires_at")
    @classmethod
    def _after_deliver_at(cls, value: datetime | None, info: ValidationInfo) -> datetime | None:
        deliver_at = info.data.get("deliver_at")
        if value is not None and deliver_at is not None and value <= deliver_at:
            raise ValueError("must be after deliver_at")
        return value

    @field_validator("unique_for")
    @classmethod
    def _with_unique_key(cls, value: float | None, info: ValidationInfo) -> float | None:
        if value is not None and info.data.get("unique_key", "") is None:
            raise ValueError("makes sense with unique_key only")
        return value


class _Data(msgspec.Struct):
    """The body once more: the bytes of the data as they came."""

    data: msgspec.Raw


_DATA: Final = msgspec.json.Decoder(_Data)
_MAIL: Final = {
    "email_id": "order-4711-mail",
    "to": "ada@example.com",
    "subject": "Your order",
    "text": "It is on its way.",
}


@router.post(
    "",
    status_code=status.HTTP_202_ACCEPTED,
    dependencies=[needs(Scope.PUBLISH)],
    summary="Enqueue a job by the name of its handler",
    response_model=None,
    responses={
        202: {
            "model": AcceptedEvent,
            "description": "Committed; Location is the job. `Trunkline-Duplicate: true` says that it was "
            "there before: the same id, or another job with the unique_key.",
        },
        **documented(
            MALFORMED_JSON,
            ID_TAKEN,
            UNIQUE_KEY_IN_FLIGHT,
            BODY_TOO_LARGE,
            EVENT_TOO_LARGE,
            UNSUPPORTED_MEDIA_TYPE,
            INVALID,
            UNKNOWN_HANDLER,
            UNKNOWN_TYPE,
            INVALID_DATA,
        ),
    },
    openapi_extra=documented_body(
        NewJob,
        now={"handler": "email.send", "data": _MAIL},
        later={"handler": "email.send", "data": _MAIL, "deliver_at": "2026-12-24T18:00:00+01:00"},
        unique={"handler": "email.send", "data": _MAIL, "unique_key": "order-4711", "unique_for": 86400},
    ),
)
async def enqueue_job(job: Annotated[NewJob, json_body(NewJob)], request: Request) -> Response:
    """Enqueue a job for one handler; the other handlers of its event type do not see it.

    A job that ended dead, cancelled or expired gives its unique_key free; one that succeeded keeps it until
    the end of its window.
    """
    parts = parts_of(request)
    event = await _event(job, await request.body(), parts)
    if job.unique_key is not None and (standing := await parts.unique.reserve(event)) is not None:
        return await _standing(keys.job_id(job.handler, standing), event.type, parts)
    try:
        [accepted] = await parts.ledger.accept([event])
    except BaseException as error:
        if job.unique_key is not None:
            await parts.unique.release(event)
        if isinstance(error, IdTaken):
            raise Refused(ID_TAKEN, str(error)) from None
        raise
    if accepted.is_duplicate and job.unique_key is not None:
        await parts.unique.release(event)
    id_, links, trace_id = await of_event(accepted.envelope, parts.jobs)
    return _answer(id_, event.type, links, trace_id, is_duplicate=accepted.is_duplicate)


async def _event(job: NewJob, body: bytes, parts: Parts) -> Envelope:
    """The checked event of the job."""
    registered = await _registered(job.handler, parts)
    try:
        data = bytes(_DATA.decode(body).data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(MALFORMED_JSON, f"the data is no JSON: {error}") from None
    event = direct_event(job.handler, registered.event_type, data, _order(job, parts), source=SOURCE)
    if len(data) > parts.settings.event_max:
        raise Refused(
            EVENT_TOO_LARGE,
            f"an event may have {parts.settings.event_max} bytes, this one has {len(data)}",
            errors=[Problem("/data", "is too large")],
        )
    try:
        CATALOGUE.check(event)
    except ContractError as error:
        raise of_contract(error, under="/data") from None
    traceparent = parts.tracing.create(event.type, event.id)
    return msgspec.structs.replace(event, attributes={**event.attributes, "traceparent": traceparent})


async def _registered(name: str, parts: Parts) -> HandlerRecord:
    """The handler; where it is not known yet Redis is asked, which may have heard of it this very second."""
    known = await parts.jobs.handlers.all()
    if name not in known:
        known = await parts.registry.handlers()
    if name not in known:
        unknown = UnknownHandler(name, tuple(known))
        raise Refused(
            UNKNOWN_HANDLER,
            str(unknown),
            errors=[Problem("/handler", "is not registered")],
            members={"known": list(unknown.known)},
        )
    return known[name]


def _order(job: NewJob, parts: Parts) -> Order:
    unique_for = UNIQUE_FOR
    if job.unique_for is not None:
        longest = parts.settings.dead_ttl
        if job.unique_for > longest.total_seconds():
            fault = f"may be {longest.total_seconds():.12g} at most (DEAD_TTL)"
            raise Refused(INVALID, f"unique_for: {fault}", errors=[Problem("/unique_for", fault)])
        unique_for = timedelta(seconds=job.unique_for)
    return Order(
        id=job.id,
        deliver_at=job.deliver_at,
        expires_at=job.expires_at,
        unique_key=job.unique_key,
        unique_for=unique_for,
    )


async def _standing(job_id: str, event_type: str, parts: Parts) -> Response:
    """The job that has the unique key, as far as it has come."""
    job = await parts.jobs.get(job_id)
    handler, event_id = keys.split_job_id(job_id)
    link = {
        "id": job_id,
        "handler": handler,
        "state": job["state"] if job else "queued",
        "href": f"/v1/jobs/{job_id}",
    }
    return _answer(event_id, event_type, [link], job["trace_id"] if job else None, is_duplicate=True)


def _answer(
    event_id: str, event_type: str, links: list[Any], trace_id: str | None, *, is_duplicate: bool
) -> Response:
    headers = {"Location": links[0]["href"], "Retry-After": RETRY_AFTER}
    if is_duplicate:
        headers["Trunkline-Duplicate"] = "true"
    document = {"event_id": event_id, "type": event_type, "jobs": links, "trace_id": trace_id}
    return json_response(document, status.HTTP_202_ACCEPTED, headers)
