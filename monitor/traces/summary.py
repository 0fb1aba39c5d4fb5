"""The spans of one trace in, its line in a list of traces out; pure."""

from collections.abc import Sequence

from monitor.traces.search import TraceSummary
from monitor.traces.span import Span


def summary_of(spans: Sequence[Span]) -> TraceSummary:
    """The line of a trace that has at least one span; `spans` are in the order of their start."""
    known = {span.span_id for span in spans}
    root = next((span for span in spans if span.parent_id not in known), spans[0])
    start_us = min(span.start_us for span in spans)
    return TraceSummary(
        trace_id=root.trace_id,
        start_us=start_us,
        duration_us=max(span.end_us for span in spans) - start_us,
        spans=len(spans),
        errors=sum(span.is_error for span in spans),
        services=list(dict.fromkeys(span.resource.service for span in spans)),
        root_service=root.resource.service,
        root_operation=root.operation,
    )
