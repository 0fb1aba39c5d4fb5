"""An OTLP trace request in, our Spans out; pure."""

import base64
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource as OtlpResource
from opentelemetry.proto.trace.v1.trace_pb2 import Span as OtlpSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status

VALUE_CHARS_MAX = 16_384
"""Longer text in an attribute is cut, so that TRACE_SPANS_MAX bounds the disk too."""

UNKNOWN_SERVICE = "unknown_service"
"""The name that the OpenTelemetry resource conventions give a service that names none."""

# gc=False below: these values cannot form cycles, and 20 objects a span would keep the collector busy.

_KINDS = {1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}
_OK, _ERROR = int(Status.STATUS_CODE_OK), int(Status.STATUS_CODE_ERROR)
_TRACE_ID_BYTES = 16
_SPAN_ID_BYTES = 8
_NO_TRACE_ID = bytes(_TRACE_ID_BYTES)
_NO_SPAN_ID = bytes(_SPAN_ID_BYTES)


class Tag(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One attribute; `type` is Jaeger's: string, bool, int64, float64 or binary (base64)."""

    key: str
    type: str
    value: str | bool | int | float


class Log(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Something that happened at an instant within a span: an OTLP span event."""

    at_us: int
    fields: tuple[Tag, ...]


class Link(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Another span that this one follows from; ids are hex."""

    trace_id: str
    span_id: str


class Details(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The part of a span that is stored as one blob."""

    tags: tuple[Tag, ...] = ()
    logs: tuple[Log, ...] = ()
    links: tuple[Link, ...] = ()
    warnings: tuple[str, ...] = ()


class Resource(msgspec.Struct, frozen=True, gc=False):
    """The process that made a span."""

    service: str
    tags: tuple[Tag, ...]


class Span(msgspec.Struct, frozen=True, gc=False):
    """One step of a trace; `kind` is "" when it was not said, `parent_id` is None for a root."""

    trace_id: bytes
    span_id: bytes
    parent_id: bytes | None
    operation: str
    kind: str
    start_us: int
    duration_us: int
    is_error: bool
    resource: Resource
    details: Details

    @property
    def end_us(self) -> int:
        """The instant at which the step ended, in µs since 1970."""
        return self.start_us + self.duration_us


@dataclass(frozen=True)
class Received:
    """What one request held: the spans that can be stored, and how many cannot."""

    spans: Sequence[Span]
    refused: int


def spans_of(request: ExportTraceServiceRequest) -> Received:
    """Every span of the request; those without valid ids are refused (opentelemetry-proto, trace.proto)."""
    spans: list[Span] = []
    refused = 0
    for of_resource in request.resource_spans:
        resource = _resource(of_resource.resource)
        for of_scope in of_resource.scope_spans:
            scope = _scope_tags(of_scope.scope)
            for otlp in of_scope.spans:
                span = _span(otlp, resource, scope)
                if span is None:
                    refused += 1
                else:
                    spans.append(span)
    return Received(spans, refused)


def _span(otlp: OtlpSpan, resource: Resource, scope: tuple[Tag, ...]) -> Span | None:
    trace_id, span_id, parent_id = otlp.trace_id, otlp.span_id, otlp.parent_span_id
    if len(trace_id) != _TRACE_ID_BYTES or trace_id == _NO_TRACE_ID:
        return None
    if len(span_id) != _SPAN_ID_BYTES or span_id == _NO_SPAN_ID:
        return None
    duration_us = (otlp.end_time_unix_nano - otlp.start_time_unix_nano) // 1000
    kind = _KINDS.get(otlp.kind, "")
    return Span(
        trace_id=trace_id,
        span_id=span_id,
        parent_id=parent_id if len(parent_id) == _SPAN_ID_BYTES and parent_id != _NO_SPAN_ID else None,
        operation=otlp.name[:VALUE_CHARS_MAX],
        kind=kind,
        start_us=otlp.start_time_unix_nano // 1000,
        duration_us=max(duration_us, 0),
        is_error=otlp.HasField("status") and otlp.status.code == _ERROR,
        resource=resource,
        details=Details(
            tags=(*_tags(otlp.attributes), *scope, *_spoken(otlp, kind)),
            logs=tuple([_log(event) for event in otlp.events]),
            links=tuple([Link(link.trace_id.hex(), link.span_id.hex()) for link in otlp.links]),
            warnings=() if duration_us >= 0 else (f"the span ends {-duration_us} us before it starts",),
        ),
    )


def _spoken(otlp: OtlpSpan, kind: str) -> list[Tag]:
    """OTLP's fields that Jaeger shows as tags, under the names of its own OTLP translator."""
    tags = [Tag("span.kind", "string", kind)] if kind else []
    if otlp.HasField("status"):
        status = otlp.status
        if status.code == _ERROR:
            tags += Tag("error", "bool", True), Tag("otel.status_code", "string", "ERROR")
        elif status.code == _OK:
            tags.append(Tag("otel.status_code", "string", "OK"))
        if status.message:
            tags.append(Tag("otel.status_description", "string", status.message[:VALUE_CHARS_MAX]))
    if otlp.trace_state:
        tags.append(Tag("w3c.tracestate", "string", otlp.trace_state[:VALUE_CHARS_MAX]))
    return tags


def _resource(otlp: OtlpResource) -> Resource:
    service = UNKNOWN_SERVICE
    tags: list[Tag] = []
    for tag in _tags(otlp.attributes):
        if tag.key == "service.name":
            service = str(tag.value) or UNKNOWN_SERVICE
        else:
            tags.append(tag)
    return Resource(service, tuple(tags))


def _scope_tags(scope: InstrumentationScope) -> tuple[Tag, ...]:
    named = (("otel.scope.name", scope.name), ("otel.scope.version", scope.version))
    return tuple(Tag(key, "string", value[:VALUE_CHARS_MAX]) for key, value in named if value)


def _log(event: OtlpSpan.Event) -> Log:
    name = (Tag("event", "string", event.name[:VALUE_CHARS_MAX]),) if event.name else ()
    return Log(event.time_unix_nano // 1000, (*name, *_tags(event.attributes)))


def _tags(attributes: Iterable[KeyValue]) -> list[Tag]:
    tags: list[Tag] = []
    for attribute in attributes:
        value = attribute.value
        # Most are text, and this runs for each attribute of each span: the short way first.
        if text := value.string_value:
            tags.append(Tag(attribute.key, "string", text[:VALUE_CHARS_MAX]))
        else:
            tags.append(Tag(attribute.key, *_typed(value)))
    return tags


def _typed(value: AnyValue) -> tuple[str, str | bool | int | float]:
    which = value.WhichOneof("value")
    if which == "string_value":
        return "string", value.string_value[:VALUE_CHARS_MAX]
    if which == "int_value":
        return "int64", value.int_value
    if which == "bool_value":
        return "bool", value.bool_value
    if which == "double_value":
        number = value.double_value
        # JSON has no NaN and no Infinity
        return ("float64", number) if math.isfinite(number) else ("string", str(number))
    if which == "bytes_value":
        return "binary", base64.b64encode(value.bytes_value[:VALUE_CHARS_MAX]).decode()
    return "string", msgspec.json.encode(_plain(value)).decode()[:VALUE_CHARS_MAX]


def _plain(value: AnyValue) -> object:
    """An array or a map of OTLP as JSON would write it; protobuf itself bounds how deep it nests."""
    match value.WhichOneof("value"):
        case "array_value":
            return [_plain(item) for item in value.array_value.values]
        case "kvlist_value":
            return {item.key: _plain(item.value) for item in value.kvlist_value.values}
        case None:
            return None
        case _:
            return _typed(value)[1]
