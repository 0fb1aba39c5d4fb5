"""CloudEvents in over HTTP; an event with its jobs and what they caused out."""

from base64 import b64encode
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
from fastapi import APIRouter, Request, status
from pydantic import BaseModel, Field
from starlette.responses import Response
from starlette.routing import Route

from gateway.door.accepted import RETRY_AFTER, AcceptedEvent, AcceptedEvents, json_response, of_event
from gateway.door.body import read_body
from gateway.door.http_events import read_events
from gateway.door.keys import Needs, Scope, needs
from gateway.door.problem_kinds import (
    BODY_TOO_LARGE,
    EVENT_TOO_LARGE,
    ID_TAKEN,
    INVALID_DATA,
    INVALID_EVENT,
    NOT_FOUND,
    UNKNOWN_TYPE,
    UNSUPPORTED_MEDIA_TYPE,
)
from gateway.door.problems import Refused, answer_refusal, documented
from gateway.door.uuids import as_uuid
from gateway.history.jobs import Jobs
from gateway.ledger.known import IdTaken
from gateway.ledger.ledger import Entry, Ledger
from gateway.parts import JobsDep, LedgerDep, parts_of
from shared.clock import rfc3339
from shared.contracts import BATCH_TYPE, CATALOGUE, HANDLER, STRUCTURED_TYPE, Envelope
from shared.telemetry import Tracing, trace_id_of

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Send
    from starlette.types import Scope as AsgiScope

router = APIRouter(prefix="/v1/events", tags=["events"])

_EXAMPLE: Final = {
    "specversion": "1.0",
    "id": "order-4711-mail",
    "source": "https://shop.example.com/orders",
    "type": "email.requested",
    "data": {
        "email_id": "order-4711-mail",
        "to": "ada@example.com",
        "subject": "Your order",
        "text": "It is on its way.",
    },
}
_DOCUMENT: Final = {"$ref": "#/components/schemas/CloudEvent"}
_HEADERS: Final = [
    {
        "name": f"ce-{name}",
        "in": "header",
        "required": False,
        "schema": {"type": "string"},
        "description": description,
    }
    for name, description in (
        ("specversion", "Binary mode: `1.0`. Required there."),
        ("id", "Binary mode: the event's id, unique with its source. Required there."),
        ("source", "Binary mode: where the event happened, a URI reference. Required there."),
        ("type", "Binary mode: the event's type. Required there."),
        ("time", "Binary mode: when it happened, RFC 3339; now when missing."),
        ("subject", "Binary mode: what it happened to."),
    )
]
_BODIES: Final = {
    "application/json": {
        "schema": {"description": "Binary mode: the event's data alone."},
        "example": _EXAMPLE["data"],
    },
    STRUCTURED_TYPE: {"schema": _DOCUMENT, "example": _EXAMPLE},
    BATCH_TYPE: {"schema": {"type": "array", "maxItems": 1000, "items": _DOCUMENT}, "example": [_EXAMPLE]},
}


class CausedEvent(BaseModel):
    """An event that this one's handling brought forth."""

    id: str
    type: str


class EventView(BaseModel):
    """An event of the ledger with what became of it."""

    id: str
    type: str = Field(examples=["user.registered"])
    source: str = Field(examples=["/trunkline/gateway"])
    subject: str | None
    time: str | None
    data: Any = Field(description="JSON as it came; other data as base64 in data_base64")
    attributes: dict[str, str] = Field(description="All other CloudEvents attributes")
    accepted_at: str
    published_at: str | None = Field(description="When it was on its bus for certain")
    settled_at: str | None = Field(description="When all its jobs were final")
    trace_id: str | None
    correlation_id: str
    causation_id: str | None
    jobs: list[dict[str, Any]]
    caused: list[CausedEvent]


@router.post(
    "",
    status_code=status.HTTP_202_ACCEPTED,
    dependencies=[needs(Scope.PUBLISH)],
    summary="Publish events",
    response_model=None,
    responses={
        202: {
            "description": "Committed. `Trunkline-Duplicate: true` says that it was so before.",
            "model": AcceptedEvent | AcceptedEvents,
        },
        **documented(
            INVALID_EVENT,
            ID_TAKEN,
            BODY_TOO_LARGE,
            EVENT_TOO_LARGE,
            UNSUPPORTED_MEDIA_TYPE,
            UNKNOWN_TYPE,
            INVALID_DATA,
        ),
    },
    openapi_extra={"parameters": _HEADERS, "requestBody": {"required": True, "content": _BODIES}},
)
async def publish_events(request: Request) -> Response:
    """Take CloudEvents in binary, structured or batch mode.

    The answer means that they are committed. The same id from the same source again is accepted and does
    nothing; with other content it is refused. A batch is accepted as a whole or not at all.
    """
    parts = parts_of(request)
    body = await read_body(request.receive)
    delivered = read_events(request.scope["headers"], body, CATALOGUE, event_max=parts.settings.event_max)
    try:
        accepted = await parts.ledger.accept([_completed(one, parts.tracing) for one in delivered.envelopes])
    except IdTaken as taken:
        raise Refused(ID_TAKEN, str(taken)) from None
    items: list[dict[str, Any]] = []
    for envelope, _ in accepted:
        id_, jobs, trace_id = await of_event(envelope, parts.jobs)
        items.append({"event_id": id_, "type": envelope.type, "jobs": jobs, "trace_id": trace_id})
    headers = {"Retry-After": RETRY_AFTER}
    if all(one.is_duplicate for one in accepted):
        headers["Trunkline-Duplicate"] = "true"
    if delivered.is_batch:
        return json_response({"items": items}, status.HTTP_202_ACCEPTED, headers)
    headers["Location"] = f"/v1/events/{items[0]['event_id']}"
    return json_response(items[0], status.HTTP_202_ACCEPTED, headers)


class Straight:
    """Wraps an app: publish_events without FastAPI's plumbing, which costs more than the event itself.

    FastAPI's own route stays for the document. Stands behind all else, where the routers would begin.
    """

    def __init__(self, app: "ASGIApp") -> None:
        self._app = app
        self._needs = Needs(Scope.PUBLISH)

    async def __call__(self, scope: "AsgiScope", receive: "Receive", send: "Send") -> None:
        """Serve one connection; what is refused is answered here, as FastAPI's handlers do."""
        if scope["type"] != "http" or scope["path"] != router.prefix or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        scope["route"] = _ROUTE  # where TraceMiddleware finds the template
        request = Request(scope, receive)
        try:
            await self._needs(request)
            response = await publish_events(request)
        except Exception as error:  # noqa: BLE001 - what is no refusal is raised again there
            response = await answer_refusal(request, error)
        await response(scope, receive, send)


_ROUTE: Final = Route(router.prefix, publish_events, methods=["POST"])


@router.get(
    "/{event_id}",
    dependencies=[needs(Scope.READ)],
    summary="One event, its jobs and what they caused",
    response_model=None,
    responses={200: {"model": EventView}, **documented(NOT_FOUND)},
)
async def get_event(event_id: str, ledger: LedgerDep, jobs: JobsDep) -> Response:
    """How far an accepted event has come."""
    id_ = as_uuid(event_id)
    entry = await ledger.find(id_) if id_ else None
    if entry is None:
        raise Refused(NOT_FOUND, "no event has this id")
    return json_response(
        _view(entry)
        | {
            "jobs": await jobs.of_event(
                entry.envelope.id, entry.envelope.type, only=entry.envelope.attributes.get(HANDLER)
            ),
            "caused": await _caused_by(entry.envelope.id, ledger, jobs),
        },
        status.HTTP_200_OK,
    )


async def _caused_by(event_id: str, ledger: Ledger, jobs: Jobs) -> list[dict[str, str]]:
    """What its jobs caused, and what was accepted from elsewhere with this event named as the cause."""
    caused = [*await jobs.caused_by(event_id), *await ledger.caused_by(event_id)]
    return list({event["id"]: event for event in caused}.values())


def _completed(envelope: Envelope, tracing: Tracing) -> Envelope:
    """With a time, and with a creation context: its own if valid, else one in the trace of this request."""
    attributes = envelope.attributes
    if "time" not in attributes:
        attributes = {**attributes, "time": rfc3339(datetime.now(UTC))}
    if trace_id_of(envelope.traceparent) is None:
        attributes = {**attributes, "traceparent": tracing.create(envelope.type, envelope.id)}
    return msgspec.structs.replace(envelope, attributes=attributes)


def _view(entry: Entry) -> dict[str, Any]:
    envelope = entry.envelope
    attributes = dict(envelope.attributes)
    return {
        "id": envelope.id,
        "type": envelope.type,
        "source": envelope.source,
        "subject": attributes.pop("subject", None),
        "time": attributes.pop("time", None),
        **_data(envelope),
        "attributes": attributes,
        "accepted_at": rfc3339(entry.accepted_at),
        "published_at": rfc3339(entry.published_at) if entry.published_at else None,
        "settled_at": rfc3339(entry.settled_at) if entry.settled_at else None,
        "trace_id": trace_id_of(envelope.traceparent),
        "correlation_id": envelope.correlation_id,
        "causation_id": attributes.get("causationid"),
    }


def _data(envelope: Envelope) -> dict[str, Any]:
    """What contracts let in is JSON; what came over a bus from elsewhere may be anything."""
    try:
        msgspec.json.decode(envelope.data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {"data": None, "data_base64": b64encode(envelope.data).decode()}
    return {"data": msgspec.Raw(envelope.data)}
