"""The envelope of an event, CloudEvents 1.0.2: attributes and data in, a checked Envelope out."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec
from uuid_utils import uuid7

from shared.clock import from_rfc3339, rfc3339
from shared.contracts.event import Event, WrittenEvent
from shared.errors import EnvelopeError, Problem
from shared.remembered import remembered

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TYPE = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
DELIVER_AT = "deliverat"
"""Extension: the instant before which no job of the event starts."""
EXPIRES_AT = "expirytime"
"""Extension: the instant after which no job of the event starts any more."""
HANDLER = "handler"
"""Extension: the one handler that the event is for; it lies on that handler's queue, not with the others."""
UNIQUE_KEY = "uniquekey"
"""Extension of an event for one handler: while its key stands, another with that key is not enqueued."""
UNIQUE_UNTIL = "uniqueuntil"
"""Extension: the instant up to which the unique key stands."""

_INSTANTS = frozenset(("time", DELIVER_AT, EXPIRES_AT, UNIQUE_UNTIL))
_VALUE_MAX = 4096


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """One event on its way.

    `attributes` holds every CloudEvents attribute but id, source, type and specversion, as text under
    its own name: time, subject, datacontenttype, traceparent, extensions.
    """

    id: str
    source: str
    type: str
    attributes: dict[str, str]
    data: bytes

    @property
    def content_type(self) -> str:
        """The media type of the data; JSON where none is given."""
        return self.attributes.get("datacontenttype", "application/json")

    @property
    def traceparent(self) -> str | None:
        """The context in which the event was created (W3C Trace Context)."""
        return self.attributes.get("traceparent")

    @property
    def correlation_id(self) -> str:
        """What all events of one chain share: the id of its first event, unless the producer said other."""
        return self.attributes.get("correlationid", self.id)


def envelope(attributes: Mapping[str, str], data: bytes) -> Envelope:
    """The checked envelope of these attributes; EnvelopeError with a pointer for each fault.

    An id that is no UUID is replaced by `uuid5(source, id)` and kept as the extension `originalid`:
    CloudEvents are unique by source and id, our jobs by the id alone.
    """
    rest = dict(attributes)
    problems = _faults(rest)
    if problems:
        first = problems[0]
        raise EnvelopeError(f"no CloudEvent: {first.pointer[1:]}: {first.detail}", problems)
    id_, source, type_ = rest.pop("id"), rest.pop("source"), rest.pop("type")
    rest.pop("specversion", None)
    if not _UUID.fullmatch(id_):
        if _UUID.fullmatch(id_.lower()):
            id_ = id_.lower()
        else:
            rest["originalid"] = id_
            id_ = str(uuid5(uuid5(NAMESPACE_URL, source), id_))
    return Envelope(id=id_, source=source, type=type_, attributes=rest, data=data)


def wrap(
    event: Event | WrittenEvent,
    *,
    source: str,
    id: str | None = None,  # noqa: A002 - the attribute's own name
    cause: Envelope | None = None,
    traceparent: str | None = None,
    now: datetime | None = None,
    extensions: Mapping[str, str] | None = None,
) -> Envelope:
    """The event in an envelope of its own; `cause` is the event whose handling brought it forth."""
    attributes = {
        "time": rfc3339(now or datetime.now(UTC)),
        "datacontenttype": "application/json",
        **(extensions or {}),
    }
    if traceparent is not None:
        attributes["traceparent"] = traceparent
    if cause is not None:
        attributes["correlationid"] = cause.correlation_id
        attributes["causationid"] = cause.id
    return Envelope(
        id=id or new_id(),
        source=source,
        type=event.type,
        attributes=attributes,
        data=event.data if isinstance(event, WrittenEvent) else event.__pydantic_serializer__.to_json(event),
    )


def addressed(event: Envelope, handler: str | None) -> Envelope:
    """The event as one handler's own, or with None as everybody's, whatever its producer wrote into it."""
    if event.attributes.get(HANDLER) == handler:
        return event
    attributes = {name: value for name, value in event.attributes.items() if name != HANDLER}
    if handler is not None:
        attributes[HANDLER] = handler
    return msgspec.structs.replace(event, attributes=attributes)


def new_id() -> str:
    """A fresh event id: UUIDv7, so that ids sort by the time of their making."""
    return str(uuid7())


def caused_id(job_id: str, type_: str, n: int) -> str:
    """The id of the n-th event of a type that a job causes: the same on each run of the job."""
    return str(uuid5(_CAUSED, f"{job_id}\n{type_}\n{n}"))


_CAUSED = UUID("8a5c0f3e-6d0b-5f0c-9d63-0d6f0b7f2c11")


def _faults(attributes: Mapping[str, str]) -> list[Problem]:
    problems = [
        Problem(f"/{name}", "is required and must not be empty")
        for name in ("id", "source", "type")
        if not attributes.get(name)
    ]
    version = attributes.get("specversion", "1.0")
    if version != "1.0":
        problems.append(Problem("/specversion", f"is {version!r}; only CloudEvents 1.0 is understood"))
    type_ = attributes.get("type")
    if type_ and not _is_type(type_):
        problems.append(Problem("/type", "must be words of letters, digits, _ or - joined by dots"))
    for name, value in attributes.items():
        if not _is_name(name):
            problems.append(Problem(f"/{name}", "attribute names are lower-case letters and digits"))
        elif len(value) > _VALUE_MAX or not value.isprintable():
            problems.append(Problem(f"/{name}", f"must be printable text of at most {_VALUE_MAX} characters"))
        elif name in _INSTANTS and not _is_instant(value):
            problems.append(Problem(f"/{name}", "must be an RFC 3339 instant with its offset"))
    return problems


# Every message has the same few names and types: each is looked at once.
@remembered
def _is_name(name: str) -> bool:
    return name.isascii() and name.isalnum() and name == name.lower()


@remembered
def _is_type(type_: str) -> bool:
    return _TYPE.fullmatch(type_) is not None


def _is_instant(value: str) -> bool:
    try:
        from_rfc3339(value)
    except ValueError:
        return False
    return True
