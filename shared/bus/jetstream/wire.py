"""An envelope as a NATS message, and back: the CloudEvents NATS binding, binary and structured mode.

Binary mode: one header for each attribute (`ce-id`, `ce-datacontenttype`, ...), percent-encoded, the data as
the body. A body without headers is enough: what is missing is filled from subject and stream sequence.
"""

from collections.abc import Mapping

from shared.contracts import (
    STRUCTURED_TYPE,
    Envelope,
    decode_header,
    decode_structured,
    encode_header,
    envelope,
)
from shared.errors import EnvelopeError, Problem

STREAM = "EVENTS"
PREFIX = "events."

# Trace context travels in its standard headers, too.
_TRACE = ("traceparent", "tracestate")


def subject_of(type_: str) -> str:
    """The subject of the events of a type."""
    return PREFIX + type_


def encode(event: Envelope) -> dict[str, str]:
    """The message's headers; its body is `event.data`."""
    headers = {
        "Nats-Msg-Id": event.id,
        "ce-specversion": "1.0",
        "ce-id": event.id,
        "ce-source": encode_header(event.source),
        "ce-type": event.type,
    }
    for name, value in event.attributes.items():
        headers[f"ce-{name}"] = encode_header(value)
    for name in _TRACE:
        if name in event.attributes:
            headers[name] = event.attributes[name]
    return headers


def decode(subject: str, sequence: int, instant: str, headers: Mapping[str, str], body: bytes) -> Envelope:
    """The envelope in a message; EnvelopeError when it is none. `instant` is when the stream took it."""
    given = _attributes(headers)
    defaults = {
        "id": headers.get("Nats-Msg-Id") or f"{STREAM}-{sequence}",
        "source": f"nats:{subject}",
        "type": subject.removeprefix(PREFIX),
        "time": instant,
    }
    content_type = next((value for name, value in headers.items() if name.lower() == "content-type"), "")
    if content_type.lower().startswith("application/cloudevents"):
        if not content_type.lower().startswith(STRUCTURED_TYPE):
            raise EnvelopeError(
                f"no event: {content_type} is not read from a subject, give {STRUCTURED_TYPE}",
                [Problem("/content-type", "is not read from a subject")],
            )
        return decode_structured(body, defaults)
    return envelope({**defaults, **given}, body)


def _attributes(headers: Mapping[str, str]) -> dict[str, str]:
    attributes: dict[str, str] = {}
    for header, value in headers.items():
        name = header.lower()
        if name.startswith("ce-"):
            attributes[name[3:]] = decode_header(name, value)
        elif name in _TRACE:
            attributes.setdefault(name, value)
    return attributes
