"""An accepted event as the answer names it: `{"event_id", "jobs": [...], "trace_id"}`."""

from typing import Any, Final

import msgspec
from pydantic import BaseModel, Field
from starlette.responses import Response

from gateway.history.jobs import JobLink, Jobs
from shared.contracts import HANDLER, Envelope, Event, new_id, wrap
from shared.telemetry import Tracing, trace_id_of

SOURCE: Final = "/trunkline/gateway"
RETRY_AFTER: Final = "1"


class AcceptedJob(BaseModel):
    """A job that the event has."""

    id: str = Field(examples=["email.send:0192f0c1-7a3b-7cde-8f01-23456789abcd"])
    handler: str = Field(examples=["email.send"])
    state: str = Field(examples=["queued"])
    href: str = Field(examples=["/v1/jobs/email.send:0192f0c1-7a3b-7cde-8f01-23456789abcd"])


class AcceptedEvent(BaseModel):
    """The event is committed; its jobs follow."""

    event_id: str = Field(examples=["0192f0c1-7a3b-7cde-8f01-23456789abcd"])
    type: str = Field(examples=["email.requested"])
    jobs: list[AcceptedJob]
    trace_id: str | None = Field(examples=["0af7651916cd43dd8448eb211c80319c"])


class AcceptedEvents(BaseModel):
    """A batch is committed, all of it, in the order of the request."""

    items: list[AcceptedEvent]


def announced(event: Event, tracing: Tracing) -> Envelope:
    """The event of a request, under an id of its own and in the request's trace."""
    id_ = new_id()
    return wrap(event, source=SOURCE, id=id_, traceparent=tracing.create(event.type, id_))


async def of_event(envelope: Envelope, jobs: Jobs) -> tuple[str, list[JobLink], str | None]:
    """The event's id, the jobs it will have and the trace that they belong to."""
    return (
        envelope.id,
        await jobs.expected(envelope.type, envelope.id, handler=envelope.attributes.get(HANDLER)),
        trace_id_of(envelope.traceparent),
    )


def json_response(document: Any, status: int, headers: dict[str, str] | None = None) -> Response:
    """The document as JSON, without the detour over a response model."""
    return Response(_encode(document), status, headers, "application/json")


_encode = msgspec.json.Encoder().encode
