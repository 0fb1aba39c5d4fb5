"""An envelope as the fields of a Redis stream entry, and back.

Binary mode: one field for each attribute (`ce-id`, `ce-type`, ..., `content-type`, `traceparent`) and `data`.
Structured mode: `data` is CloudEvents JSON and `content-type` says so. A plain `data` alone is enough:
what is missing is filled from the stream's name and the entry's id.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from shared.clock import rfc3339
from shared.contracts import STRUCTURED_TYPE, Envelope, decode_structured, envelope
from shared.errors import EnvelopeError, Problem
from shared.remembered import remembered

PREFIX = "events:"

# Attributes whose field has a name of its own.
_FIELD_OF = {"datacontenttype": "content-type", "traceparent": "traceparent", "tracestate": "tracestate"}
_ATTRIBUTE_OF = {field.encode(): attribute for attribute, field in _FIELD_OF.items()}


def stream_of(type_: str) -> str:
    """The stream of the events of a type."""
    return PREFIX + type_


def encode(event: Envelope) -> list[str | bytes]:
    """The entry's fields, flat: name, value, name, value ..., in binary mode."""
    fields: list[str | bytes] = [
        "ce-specversion",
        "1.0",
        "ce-id",
        event.id,
        "ce-source",
        event.source,
        "ce-type",
        event.type,
    ]
    for name, value in event.attributes.items():
        fields += (_FIELD_OF.get(name) or f"ce-{name}", value)
    fields += ("data", event.data)
    return fields


def decode(stream: str, entry_id: str, fields: Mapping[bytes, bytes]) -> Envelope:
    """The envelope in an entry; EnvelopeError when it is none."""
    data = fields.get(b"data")
    if data is None:
        raise EnvelopeError("no event: the entry has no field named data", [Problem("/data", "is required")])
    given = _attributes(fields)
    defaults = {"id": entry_id, "source": f"redis:{stream}", "type": stream.removeprefix(PREFIX)}
    if "time" not in given:
        defaults["time"] = _instant(entry_id)
    if given.get("datacontenttype", "").lower().startswith("application/cloudevents"):
        if not given["datacontenttype"].lower().startswith(STRUCTURED_TYPE):
            raise EnvelopeError(
                f"no event: {given['datacontenttype']} is not read from a stream, give {STRUCTURED_TYPE}",
                [Problem("/content-type", "is not read from a stream")],
            )
        return decode_structured(data, defaults)
    return envelope({**defaults, **given}, data)


def _attributes(fields: Mapping[bytes, bytes]) -> dict[str, str]:
    attributes: dict[str, str] = {}
    for field, value in fields.items():
        try:
            if attribute := _attribute(field):
                attributes[attribute] = value.decode()
        except UnicodeDecodeError:
            raise EnvelopeError(
                f"no event: the field {field!r} is no UTF-8", [Problem("", f"{field!r} is no UTF-8")]
            ) from None
    return attributes


# Every entry has the same few fields: each is looked at once.
@remembered
def _attribute(field: bytes) -> str | None:
    return field[3:].decode().lower() if field.startswith(b"ce-") else _ATTRIBUTE_OF.get(field)


def _instant(entry_id: str) -> str:
    return rfc3339(datetime.fromtimestamp(int(entry_id.partition("-")[0]) / 1000, UTC))
