"""The CloudEvents HTTP binding 1.0.2: a request's headers and body in, checked envelopes out.

Binary mode: `ce-<attribute>` headers and the data as the body. Structured mode: one JSON document. Batch: an
array of them. What is wrong is said with a pointer: `/ce-id` names a header, `/0/id` a member of the body.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from email.message import Message
from typing import Final

from gateway.door.problem_kinds import EVENT_TOO_LARGE, INVALID_EVENT, UNSUPPORTED_MEDIA_TYPE
from gateway.door.problems import Refused, of_contract
from shared.contracts import (
    BATCH_TYPE,
    HANDLER,
    STRUCTURED_TYPE,
    Catalogue,
    Envelope,
    decode_batch,
    decode_header,
    decode_structured,
    envelope,
)
from shared.errors import ContractError, EnvelopeError, Problem

BATCH_MAX: Final = 1000
_PREFIX: Final = b"ce-"
_CLOUDEVENTS: Final = "application/cloudevents"
_BATCH: Final = "application/cloudevents-batch"
# Over HTTP a document must name its version; an empty default is refused as a wrong one.
_NO_VERSION: Final = {"specversion": ""}
_REQUIRED: Final = ("id", "source", "specversion", "type")

Headers = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Delivered:
    """The events of one request."""

    envelopes: Sequence[Envelope]
    is_batch: bool


def read_events(headers: Headers, body: bytes, catalogue: Catalogue, *, event_max: int) -> Delivered:
    """The events in the request, each checked against its contract; Refused says what is wrong and where.

    `event_max` is in bytes. Nothing of a batch is accepted when one of its events is faulty.
    """
    attributes, content_type = _attributes(headers)
    mode = content_type.lower()
    if not mode.startswith(_CLOUDEVENTS):
        one = _binary(attributes, content_type, body)
        _refuse_addressed(one, f"/ce-{HANDLER}")
        check_event(one, catalogue, event_max, under="")
        return Delivered((one,), is_batch=False)
    if mode.startswith(_BATCH):
        _refuse_other_formats(content_type, BATCH_TYPE)
        many = _batch(body)
        for index, one in enumerate(many):
            _refuse_addressed(one, f"/{index}/{HANDLER}")
            check_event(one, catalogue, event_max, under=f"/{index}/data")
        return Delivered(many, is_batch=True)
    _refuse_other_formats(content_type, STRUCTURED_TYPE)
    one = _structured(body)
    _refuse_addressed(one, f"/{HANDLER}")
    check_event(one, catalogue, event_max, under="/data")
    return Delivered((one,), is_batch=False)


def _binary(attributes: dict[str, str], content_type: str, body: bytes) -> Envelope:
    missing = [Problem(f"/ce-{name}", "is required") for name in _REQUIRED if not attributes.get(name)]
    if missing:
        raise Refused(
            INVALID_EVENT,
            f"no CloudEvent: the header {missing[0].pointer[1:]} is missing",
            errors=missing,
        )
    if content_type:
        attributes["datacontenttype"] = content_type
    try:
        return envelope(attributes, body)
    except EnvelopeError as error:
        raise _naming_headers(error) from None


def _structured(body: bytes) -> Envelope:
    try:
        return decode_structured(body, _NO_VERSION)
    except ContractError as error:
        raise of_contract(error) from None
    except RecursionError:
        raise _too_deep() from None


def _batch(body: bytes) -> list[Envelope]:
    try:
        many = decode_batch(body, _NO_VERSION)
    except ContractError as error:
        raise of_contract(error) from None
    except RecursionError:
        raise _too_deep() from None
    if len(many) > BATCH_MAX:
        raise Refused(INVALID_EVENT, f"a batch may have {BATCH_MAX} events, this one has {len(many)}")
    if not many:
        raise Refused(INVALID_EVENT, "the batch is empty")
    return many


def check_event(one: Envelope, catalogue: Catalogue, event_max: int, *, under: str) -> None:
    """Return when the event fits its bus and its contract; Refused with pointers below `under`, its data."""
    size_bytes = len(one.data) + sum(len(name) + len(value) for name, value in one.attributes.items())
    if size_bytes > event_max:
        raise Refused(
            EVENT_TOO_LARGE,
            f"an event may have {event_max} bytes, this one has {size_bytes}",
            errors=[Problem(under, "is too large")],
        )
    try:
        catalogue.check(one)
    except ContractError as error:
        raise of_contract(error, under=under) from None


def _attributes(headers: Headers) -> tuple[dict[str, str], str]:
    """The ce- attributes by their names, and the content type; Refused for what is doubled or unreadable."""
    attributes: dict[str, str] = {}
    content_types: list[str] = []
    problems: list[Problem] = []
    for raw_name, raw_value in headers:
        if raw_name == b"content-type":
            content_types.append(raw_value.decode("latin-1").strip())
            continue
        if not raw_name.startswith(_PREFIX):
            continue
        header = raw_name.decode("latin-1")
        name = header[len(_PREFIX) :]
        try:
            value = decode_header(name, raw_value.decode())
        except (UnicodeDecodeError, EnvelopeError):
            problems.append(Problem(f"/{header}", "is no UTF-8"))
            continue
        if name in attributes:
            problems.append(Problem(f"/{header}", "is given twice"))
        attributes[name] = value
    if len(content_types) > 1:
        problems.append(Problem("/content-type", "is given twice"))
    if "datacontenttype" in attributes:
        problems.append(Problem("/ce-datacontenttype", "must not be given; use content-type"))
    if problems:
        raise Refused(
            INVALID_EVENT,
            f"no CloudEvent: the header {problems[0].pointer[1:]} {problems[0].detail}",
            errors=problems,
        )
    return attributes, content_types[0] if content_types else ""


def _naming_headers(error: EnvelopeError) -> Refused:
    names = {"/datacontenttype": "/content-type"}
    problems = [
        Problem(names.get(pointer, f"/ce-{pointer[1:]}"), detail) for pointer, detail in error.problems
    ]
    return Refused(INVALID_EVENT, str(error), errors=problems)


def _refuse_addressed(one: Envelope, pointer: str) -> None:
    """An event is for whoever handles its type; who means one handler asks for a job."""
    if HANDLER in one.attributes:
        raise Refused(
            INVALID_EVENT,
            f"the attribute {HANDLER!r} is not accepted; for a job of one handler, POST /v1/jobs",
            errors=[Problem(pointer, "is not accepted; POST /v1/jobs")],
        )


def _refuse_other_formats(content_type: str, understood: str) -> None:
    parsed = Message()
    parsed["content-type"] = content_type
    charset = str(parsed.get_param("charset", "utf-8"))
    if parsed.get_content_type() != understood or charset.lower() not in {"utf-8", "utf8", "us-ascii"}:
        raise Refused(
            UNSUPPORTED_MEDIA_TYPE, f"of CloudEvents formats only {understood} in UTF-8 is understood"
        )


def _too_deep() -> Refused:
    return Refused(
        INVALID_EVENT, "the JSON is nested too deeply", errors=[Problem("", "is nested too deeply")]
    )
