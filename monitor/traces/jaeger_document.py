"""Jaeger's JSON of traces in, their Spans out; pure: the reverse of jaeger_trace.py."""

from typing import Any, Final

import msgspec

from monitor.traces.span import UNKNOWN_SERVICE, Details, Link, Log, Resource, Span, Tag

_TRACE_DIGITS: Final = 32
_SPAN_DIGITS: Final = 16


class _KeyValue(msgspec.Struct):
    key: str
    value: Any = None
    type: str = "string"


class _Reference(msgspec.Struct, rename={"kind": "refType", "trace_id": "traceID", "span_id": "spanID"}):
    kind: str
    span_id: str
    trace_id: str = ""
    """The span's own, where it is not said."""


class _Log(msgspec.Struct):
    timestamp: int
    fields: list[_KeyValue] | None = None


class _Process(msgspec.Struct, rename={"service": "serviceName"}):
    service: str = ""
    tags: list[_KeyValue] | None = None


class _Span(
    msgspec.Struct,
    rename={
        "trace_id": "traceID",
        "span_id": "spanID",
        "operation": "operationName",
        "start_us": "startTime",
        "process": "processID",
    },
):
    trace_id: str
    span_id: str
    operation: str = ""
    references: list[_Reference] | None = None
    start_us: int = 0
    duration: int = 0
    tags: list[_KeyValue] | None = None
    logs: list[_Log] | None = None
    process: str = ""
    warnings: list[str] | None = None


class TraceDocument(msgspec.Struct):
    """One trace, as Jaeger writes it."""

    spans: list[_Span]
    processes: dict[str, _Process]


def spans_of_document(document: TraceDocument) -> list[Span]:
    """The spans by start. ValueError when an id is none."""
    resources = {
        name: Resource(process.service or UNKNOWN_SERVICE, _tags(process.tags))
        for name, process in document.processes.items()
    }
    nobody = Resource(UNKNOWN_SERVICE, ())
    spans = [_span(span, resources.get(span.process, nobody)) for span in document.spans]
    return sorted(spans, key=lambda span: span.start_us)


def _span(span: _Span, resource: Resource) -> Span:
    trace_id = _id(span.trace_id, _TRACE_DIGITS)
    tags = _tags(span.tags)
    values = {tag.key: tag.value for tag in tags}
    parent, links = _parent_and_links(span.references or [], trace_id)
    return Span(
        trace_id=trace_id,
        span_id=_id(span.span_id, _SPAN_DIGITS),
        parent_id=parent,
        operation=span.operation,
        kind=str(values.get("span.kind", "")),
        start_us=span.start_us,
        duration_us=max(span.duration, 0),
        is_error=values.get("error") in (True, "true"),
        resource=resource,
        details=Details(
            tags=tags,
            logs=tuple(Log(log.timestamp, _tags(log.fields)) for log in span.logs or ()),
            links=links,
            warnings=tuple(span.warnings or ()),
        ),
    )


def _parent_and_links(references: list[_Reference], trace_id: bytes) -> tuple[bytes | None, tuple[Link, ...]]:
    """The parent is what the span is a child of in its own trace; it follows from all others."""
    parent: bytes | None = None
    links: list[Link] = []
    for reference in references:
        other = _id(reference.trace_id, _TRACE_DIGITS) if reference.trace_id else trace_id
        span_id = _id(reference.span_id, _SPAN_DIGITS)
        if parent is None and reference.kind == "CHILD_OF" and other == trace_id:
            parent = span_id
        else:
            links.append(Link(other.hex(), span_id.hex()))
    return parent, tuple(links)


def _tags(tags: list[_KeyValue] | None) -> tuple[Tag, ...]:
    return tuple(Tag(tag.key, tag.type, _value(tag)) for tag in tags or ())


def _value(tag: _KeyValue) -> str | bool | int | float:
    value: Any = tag.value
    if isinstance(value, bool | int | float | str):
        # What JavaScript could not hold, Jaeger writes as text.
        is_digits = isinstance(value, str) and value.removeprefix("-").isdecimal()
        return int(value) if tag.type == "int64" and is_digits else value
    return msgspec.json.encode(value).decode()


def _id(text: str, digits: int) -> bytes:
    """The id; a shorter one is filled with zeros from the left, as Jaeger does."""
    return bytes.fromhex(text.rjust(digits, "0"))
