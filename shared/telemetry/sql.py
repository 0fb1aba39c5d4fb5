"""Statements of an engine in, a span for each that belongs to a trace out: `INSERT gateway.orders`.

Names and attributes: https://opentelemetry.io/docs/specs/semconv/database/postgresql/ (stable). Loops outside
of any trace stay silent, and values never leave the process: a summary names operation and table.
"""

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from shared.telemetry import names
from shared.telemetry.spans import Span
from shared.telemetry.trace_context import current_traceparent
from shared.telemetry.traces import Tracing

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.engine import ExceptionContext

_SPAN: Final = "_trunkline_span"
_TABLE: Final = r"\s+(?:ONLY\s+)?\"?([A-Za-z_][\w.]*)"
# Of a statement with several parts, the one that changes something is what it is about.
_CHANGE: Final = re.compile(
    rf"\b(INSERT)\s+INTO{_TABLE}|(?<!FOR )\b(UPDATE){_TABLE}\s+.*?\bSET\b|\b(DELETE)\s+FROM{_TABLE}",
    re.DOTALL,
)
_READ: Final = re.compile(rf"\bFROM{_TABLE}")


def trace_statements(engine: "Engine", tracing: Tracing) -> None:
    """From now on each statement of the engine is a CLIENT span under the span that is current.

    Of an AsyncEngine hand over its `sync_engine`. Where nothing is exported nothing is done.
    """
    if not tracing.is_recording:
        return

    from sqlalchemy import event  # noqa: PLC0415 - not every process that is traced has a database

    def before(_connection: Any, _cursor: Any, statement: str, _values: Any, context: Any, *_: Any) -> None:
        if context is not None and current_traceparent() is not None:
            operation, table = summary_of(statement)
            attributes = {
                names.DB_SYSTEM_NAME: "postgresql",
                names.DB_OPERATION_NAME: operation,
                names.DB_QUERY_SUMMARY: f"{operation} {table}".strip(),
            }
            if table:
                attributes[names.DB_COLLECTION_NAME] = table
            span = tracing.client(attributes[names.DB_QUERY_SUMMARY], attributes)
            setattr(context, _SPAN, span)
            span.__enter__()

    def after(_connection: Any, _cursor: Any, _statement: str, _values: Any, context: Any, *_: Any) -> None:
        _end(context, None)

    def failed(error: "ExceptionContext") -> None:
        _end(error.execution_context, error.original_exception)

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "after_cursor_execute", after)
    event.listen(engine, "handle_error", failed)


@lru_cache(maxsize=1024)
def summary_of(statement: str) -> tuple[str, str]:
    """("INSERT", "gateway.orders"); a statement without a table has none: ("SELECT", "")."""
    change = _CHANGE.search(statement)
    if change is not None:
        operation, table = (part for part in change.groups() if part)
        return operation, table
    words = statement.split(None, 1)
    read = _READ.search(statement)
    operation = "SELECT" if read else words[0].upper() if words else ""
    return operation, read[1] if read else ""


def _end(context: Any, error: BaseException | None) -> None:
    span: Span | None = getattr(context, _SPAN, None)
    if span is not None:
        delattr(context, _SPAN)
        span.__exit__(type(error) if error else None, error, None)
