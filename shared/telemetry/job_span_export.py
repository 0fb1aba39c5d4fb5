"""Spans in, one OTLP request out: those of the SDK encoded by its exporter, JobSpans into prepared bytes.

What all jobs of a handler share is encoded once, by protobuf itself; the few values that differ are written
between: https://protobuf.dev/programming-guides/encoding/. The bytes are those that the SDK would have sent.
"""

from functools import lru_cache
from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, SpanFlags, Status
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.trace import SpanContext

from shared.telemetry import names
from shared.telemetry.job_span import SCOPE, JobSpan, Work

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.resources import Resource

_REMOTE: Final = SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK | SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK

# A tag is the field's number << 3 | the type of what follows: 1 eight bytes, 2 a length and as many bytes.
_KEY, _VALUE = b"\x0a", b"\x12"  # of KeyValue
_TEXT, _NUMBER = b"\x0a", b"\x18"  # of AnyValue
_ATTRIBUTE: Final = b"\x4a"  # of Span
_SCOPE_SPANS, _SPAN = b"\x12", b"\x12"  # of ResourceSpans, and of ScopeSpans
_RESOURCE_SPANS: Final = b"\x0a"  # of ExportTraceServiceRequest
_IDS: Final = Struct("2s16s 2s8s 2s8s")  # trace, span and parent of Span: fields 1, 2 and 4
_TIMES: Final = Struct("<sQ sQ")  # start and end of Span: fields 7 and 8, little-endian
_LINK: Final = Struct("4s16s 2s8s 5s")  # field 13 of Span: trace, span, flags
_LINK_FLAGS: Final = Span.Link(flags=_REMOTE).SerializeToString()
_LINK_HEAD: Final = b"\x6a" + bytes([_LINK.size - 2]) + b"\x0a\x10"
_ONE_BYTE: Final = tuple(bytes([number]) for number in range(0x80))


class JobSpanExporter(OTLPSpanExporter):
    """The SDK's exporter, which takes JobSpans too."""

    @property
    def takes_job_spans(self) -> bool:
        """Whether the SDK's exporter sends bytes in the one way that this file knows of, which is private."""
        return callable(getattr(getattr(self, "_client", None), "export", None))

    def export(self, spans: "Sequence[ReadableSpan | JobSpan]") -> SpanExportResult:
        """Send them all in one request, tried again as the SDK does."""
        jobs = [span for span in spans if isinstance(span, JobSpan)]
        others = [span for span in spans if not isinstance(span, JobSpan)]
        if not jobs or self._shutdown:
            return super().export(others)
        request = request_of(jobs)
        if others:
            request += encode_spans(others).SerializeToString()  # a message after another is both, merged
        sent = self._client.export(request)
        return SpanExportResult.SUCCESS if sent.success else SpanExportResult.FAILURE


def request_of(jobs: "Sequence[JobSpan]") -> bytes:
    """The request that exports ended spans of one process."""
    resource, scope = _origin(jobs[0].resource)
    spans = b"".join([_field(_SPAN, _encode(job)) for job in jobs])
    return _field(_RESOURCE_SPANS, resource + _field(_SCOPE_SPANS, scope + spans))


class _Template(NamedTuple):
    """The bytes between the values that differ, in the order in which protobuf writes them."""

    name_and_kind: bytes
    before_event_id: bytes
    before_job_id: bytes
    status_and_flags: bytes


def _encode(span: JobSpan) -> bytes:
    template = _template(span.work)
    trace_id, parent_id = bytes.fromhex(span.parent[3:35]), bytes.fromhex(span.parent[36:52])
    event_id = _text(span.event_id)
    return b"".join(
        (
            _IDS.pack(
                b"\x0a\x10", trace_id, b"\x12\x08", span.context.span_id.to_bytes(8), b"\x22\x08", parent_id
            ),
            template.name_and_kind,
            _TIMES.pack(b"\x39", span.started_ns, b"\x41", span.ended_ns),
            template.before_event_id,
            _attribute(_MESSAGE_ID, event_id),
            _attribute(_EVENT_ID, event_id),
            template.before_job_id,
            _attribute(_JOB_ID, _text(span.job_id)),
            _attribute(_ATTEMPT, _number(span.attempt)),
            _LINK.pack(_LINK_HEAD, trace_id, b"\x12\x08", parent_id, _LINK_FLAGS),
            template.status_and_flags,
        )
    )


@lru_cache(maxsize=1024)
def _template(work: Work) -> _Template:
    attributes = [
        KeyValue(key=key, value=AnyValue(string_value=value))
        for key, value in work.attributes("", "", 0).items()
        if isinstance(value, str)
    ]
    keys = [attribute.key for attribute in attributes]
    message_id, event_id, job_id = (
        keys.index(key)
        for key in (names.MESSAGING_MESSAGE_ID, names.CLOUDEVENTS_EVENT_ID, names.TRUNKLINE_JOB_ID)
    )
    return _Template(
        Span(name=work.span_name, kind=Span.SpanKind.SPAN_KIND_CONSUMER).SerializeToString(),
        Span(attributes=attributes[:message_id]).SerializeToString(),
        Span(attributes=attributes[event_id + 1 : job_id]).SerializeToString(),
        Span(status=Status(), flags=_REMOTE).SerializeToString(),
    )


@lru_cache(maxsize=8)
def _origin(resource: "Resource") -> tuple[bytes, bytes]:
    """What stands before the spans of this process: its resource, and the scope; as the SDK writes them."""
    nowhere = SpanContext(1, 1, is_remote=False)
    sample = ReadableSpan("sample", nowhere, resource=resource, instrumentation_scope=SCOPE)
    (of_resource,) = encode_spans([sample]).resource_spans
    (of_scope,) = of_resource.scope_spans
    del of_scope.spans[:], of_resource.scope_spans[:]
    return of_resource.SerializeToString(), of_scope.SerializeToString()


def _key(name: str) -> bytes:
    return _field(_KEY, name.encode())


def _attribute(key: bytes, value: bytes) -> bytes:
    return _field(_ATTRIBUTE, key + value)


def _text(text: str) -> bytes:
    return _field(_VALUE, _field(_TEXT, text.encode(errors="replace")))


def _number(number: int) -> bytes:
    return _field(_VALUE, _NUMBER + _varint(number))


def _field(tag: bytes, content: bytes) -> bytes:
    return tag + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; all but the last have the eighth bit set."""
    if number < len(_ONE_BYTE):
        return _ONE_BYTE[number]
    return bytes([number & 0x7F | 0x80]) + _varint(number >> 7)


_MESSAGE_ID: Final = _key(names.MESSAGING_MESSAGE_ID)
_EVENT_ID: Final = _key(names.CLOUDEVENTS_EVENT_ID)
_JOB_ID: Final = _key(names.TRUNKLINE_JOB_ID)
_ATTEMPT: Final = _key(names.TRUNKLINE_JOB_ATTEMPT)
