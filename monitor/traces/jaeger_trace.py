"""The spans of one trace in, Jaeger's JSON of it out; pure (internal/uimodel/model.go of Jaeger)."""

from collections.abc import Iterable, Sequence
from typing import Any

from monitor.traces.span import Resource, Span, Tag

Document = dict[str, Any]


def trace_document(spans: Sequence[Span]) -> Document:
    """A trace as Jaeger's UI reads it; each process is written once and named p1, p2, ..."""
    processes: dict[Resource, str] = {}
    for span in spans:
        processes.setdefault(span.resource, f"p{len(processes) + 1}")
    return {
        "traceID": spans[0].trace_id.hex(),
        "spans": [_span(span, processes[span.resource]) for span in spans],
        "processes": {
            name: {"serviceName": resource.service, "tags": _tags(resource.tags)}
            for resource, name in processes.items()
        },
        "warnings": None,
    }


def _span(span: Span, process: str) -> Document:
    return {
        "traceID": span.trace_id.hex(),
        "spanID": span.span_id.hex(),
        "operationName": span.operation,
        "references": _references(span),
        "startTime": span.start_us,
        "duration": span.duration_us,
        "tags": _tags(span.details.tags),
        "logs": [{"timestamp": log.at_us, "fields": _tags(log.fields)} for log in span.details.logs],
        "processID": process,
        "warnings": list(span.details.warnings) or None,
    }


def _references(span: Span) -> list[Document]:
    """The parent first, then what the span links to."""
    parent = (
        [{"refType": "CHILD_OF", "traceID": span.trace_id.hex(), "spanID": span.parent_id.hex()}]
        if span.parent_id
        else []
    )
    links = [
        {"refType": "FOLLOWS_FROM", "traceID": link.trace_id, "spanID": link.span_id}
        for link in span.details.links
    ]
    return parent + links


def _tags(tags: Iterable[Tag]) -> list[Document]:
    return [{"key": tag.key, "type": tag.type, "value": tag.value} for tag in tags]
