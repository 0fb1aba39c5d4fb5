"""A piece of work inside a trace, as a `with` block: current while it runs, failed when it raises.

Two of them: Span carries its trace and records nothing; RecordedSpan is exported. Classes with slots, not
@contextmanager, since one of them surrounds every job.
"""

import asyncio
import traceback
from typing import TYPE_CHECKING, Final, Self

from opentelemetry import context as otel_context
from opentelemetry.trace import StatusCode, set_span_in_context

from shared.telemetry import names
from shared.telemetry.redaction import mask
from shared.telemetry.trace_context import enter, leave

if TYPE_CHECKING:
    from contextvars import Token
    from types import TracebackType

    from opentelemetry import trace
    from opentelemetry.util.types import AttributeValue

_LONGEST_STACK_CHARACTERS: Final = 16_384


class Span:
    """Work that belongs to a trace but is not recorded; everything but its context is a no-op.

    `traceparent` is what to hand on. As OpenTelemetry's no-op tracer it keeps its parent's span id, so that
    the tree stays whole where only some services export.
    """

    __slots__ = ("_token", "traceparent")

    traceparent: str

    def __init__(self, traceparent: str) -> None:
        self.traceparent = traceparent
        self._token: Token[str | None] | None = None

    @property
    def trace_id(self) -> str:
        """32 hex digits, for logs, job records and X-Trace-Id."""
        return self.traceparent[3:35]

    def rename(self, name: str) -> None:
        """Give the span the name that was not known at its start."""

    def set(self, name: str, value: "AttributeValue") -> None:
        """Add an attribute; the name is one of `names`."""

    def fail(self, error_type: str, message: str = "") -> None:
        """Mark the span as failed where nothing is raised; `error_type` is one of few: a class or a code."""

    def fail_with(self, error: BaseException) -> None:
        """Mark the span as failed by an exception that ends inside it, with its stack."""

    def __enter__(self) -> Self:
        self._token = enter(self.traceparent)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        stack: "TracebackType | None",
    ) -> None:
        if self._token is not None:
            leave(self._token)


class RecordedSpan(Span):
    """Work that is exported; it has started, and ends with its block."""

    __slots__ = ("_context", "_span")

    def __init__(self, span: "trace.Span") -> None:
        super().__init__(traceparent_of(span))
        self._span = span
        self._context: Token[otel_context.Context] | None = None

    def rename(self, name: str) -> None:
        """Give the span the name that was not known at its start."""
        self._span.update_name(name)

    def set(self, name: str, value: "AttributeValue") -> None:
        """Add an attribute; the name is one of `names`."""
        self._span.set_attribute(name, value)

    def fail(self, error_type: str, message: str = "") -> None:
        """Mark the span as failed where nothing is raised."""
        self._span.set_attribute(names.ERROR_TYPE, error_type)
        self._span.set_status(StatusCode.ERROR, mask(message) or None)

    def fail_with(self, error: BaseException) -> None:
        """Mark the span as failed by an exception; addresses and credentials in its words are masked."""
        error_type = error_type_of(error)
        self.fail(error_type, str(error))
        if isinstance(error, asyncio.CancelledError):
            return  # the process stops and the job goes back: no stack says more than that
        stack = "".join(traceback.format_exception(error))[-_LONGEST_STACK_CHARACTERS:]
        self._span.add_event(
            names.EXCEPTION,
            {
                names.EXCEPTION_TYPE: error_type,
                names.EXCEPTION_MESSAGE: mask(str(error)),
                names.EXCEPTION_STACKTRACE: mask(stack),
            },
        )

    def __enter__(self) -> Self:
        super().__enter__()
        # Also current for OpenTelemetry, so that the spans of any instrumented library join the tree.
        self._context = otel_context.attach(set_span_in_context(self._span))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        stack: "TracebackType | None",
    ) -> None:
        if error is not None:
            self.fail_with(error)
        if self._context is not None:
            otel_context.detach(self._context)
        super().__exit__(kind, error, stack)
        self._span.end()


def traceparent_of(span: "trace.Span") -> str:
    """The context of a span of the SDK, ready to hand on."""
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def error_type_of(error: BaseException) -> str:
    """The class of an error as `error.type` wants it: qualified, without `builtins`."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
