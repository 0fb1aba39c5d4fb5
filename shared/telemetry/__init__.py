"""Traces, logs and metrics of one process: spans to OTLP, lines to stdout, numbers to Prometheus."""

from shared.telemetry import names
from shared.telemetry.logs import LogFormat, configure_logging, get_logger
from shared.telemetry.loop_watch import LoopWatch
from shared.telemetry.metrics import Metrics
from shared.telemetry.middleware import TraceMiddleware
from shared.telemetry.spans import Span
from shared.telemetry.sql import trace_statements
from shared.telemetry.trace_context import current_traceparent, new_traceparent, trace_id_of
from shared.telemetry.traces import Message, System, Tracing, configure_tracing

__all__ = [
    "LogFormat",
    "LoopWatch",
    "Message",
    "Metrics",
    "Span",
    "System",
    "TraceMiddleware",
    "Tracing",
    "configure_logging",
    "configure_tracing",
    "current_traceparent",
    "get_logger",
    "names",
    "new_traceparent",
    "trace_id_of",
    "trace_statements",
]
