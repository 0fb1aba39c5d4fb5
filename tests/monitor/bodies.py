"""OTLP bodies by hand: what no SDK would send, and spans with ids and times of our choice."""

import time
from dataclasses import dataclass

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

NOW_US = time.time_ns() // 1000


@dataclass(frozen=True)
class Made:
    """A span; ids are numbers for the sake of short tests."""

    trace: int
    span: int
    parent: int = 0
    service: str = "shop"
    name: str = "work"
    start_us: int = NOW_US
    took_us: int = 1_000
    is_error: bool = False
    tags: tuple[tuple[str, str], ...] = ()


def trace_id(number: int) -> str:
    return f"{number:032x}"


def otlp(*spans: Made) -> bytes:
    """The request that holds these spans."""
    request = ExportTraceServiceRequest()
    for made in spans:
        resource_spans = request.resource_spans.add()
        resource_spans.resource.attributes.add(key="service.name").value.string_value = made.service
        span = resource_spans.scope_spans.add().spans.add(
            trace_id=made.trace.to_bytes(16),
            span_id=made.span.to_bytes(8),
            parent_span_id=made.parent.to_bytes(8) if made.parent else b"",
            name=made.name,
            kind=2,
            start_time_unix_nano=made.start_us * 1000,
            end_time_unix_nano=(made.start_us + made.took_us) * 1000,
        )
        if made.is_error:
            span.status.code = Status.STATUS_CODE_ERROR
        for key, value in made.tags:
            span.attributes.add(key=key).value.string_value = value
    return request.SerializeToString()
