"""One attempt of a job in, the span that the SDK would have made of it out, for a fraction of the cost.

Each job has one, with the same attributes always, and almost always nobody adds to it. So a JobSpan keeps
what differs, and `job_span_export` writes that into prepared bytes; no more is done (docs/decisions/0014).
Whoever adds to it (an error, an attribute, an event) gets a span of the SDK, made then, with the same ids.
"""

import os
import threading
from random import getrandbits
from time import time_ns
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from opentelemetry import trace
from opentelemetry.sdk.trace import Span as SdkSpan
from opentelemetry.sdk.trace import SpanLimits
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, TraceFlags

from shared.telemetry import names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
    from opentelemetry.util.types import Attributes, AttributeValue

SCOPE: Final = InstrumentationScope(names.NAMESPACE, "")

_making: Final = threading.Lock()  # of a handler's threads two may add at once; seldom taken, so one for all
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_SAMPLED_RANDOM: Final = TraceFlags(TraceFlags.SAMPLED | TraceFlags.RANDOM_TRACE_ID)
_ASKS_FOR_THE_SDK: Final = (
    "OTEL_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_SPAN_LINK_COUNT_LIMIT",
    "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED",  # the SDK counts its own spans only
)


class Work(NamedTuple):
    """What the jobs of one handler have in common, where their events are of one type and source."""

    system: str
    destination: str
    group: str
    event_source: str
    event_type: str
    handler: str

    @property
    def span_name(self) -> str:
        """The name that the convention wants: operation and destination."""
        return f"{names.PROCESS} {self.destination}"

    def attributes(self, event_id: str, job_id: str, attempt: int) -> "dict[str, AttributeValue]":
        """All attributes of an attempt's span."""
        return {
            names.MESSAGING_SYSTEM: self.system,
            names.MESSAGING_OPERATION_NAME: names.PROCESS,
            names.MESSAGING_OPERATION_TYPE: names.PROCESS,
            names.MESSAGING_DESTINATION_NAME: self.destination,
            names.MESSAGING_CONSUMER_GROUP_NAME: self.group,
            names.MESSAGING_MESSAGE_ID: event_id,
            names.CLOUDEVENTS_EVENT_ID: event_id,
            names.CLOUDEVENTS_EVENT_SOURCE: self.event_source,
            names.CLOUDEVENTS_EVENT_TYPE: self.event_type,
            names.CLOUDEVENTS_EVENT_SPEC_VERSION: names.CLOUDEVENTS_VERSION,
            names.TRUNKLINE_HANDLER: self.handler,
            names.TRUNKLINE_JOB_ID: job_id,
            names.TRUNKLINE_JOB_ATTEMPT: attempt,
        }


class JobSpans:
    """Starts the JobSpans of one process; they go to `processor` when they end."""

    def __init__(self, processor: "SpanProcessor", resource: "Resource") -> None:
        self.processor = processor
        self.resource = resource

    def start(self, parent: str, work: Work, event_id: str, job_id: str, attempt: int) -> "JobSpan":
        """A running span under the sampled traceparent `parent`, in which the event was created."""
        return JobSpan(self, parent, work, event_id=event_id, job_id=job_id, attempt=attempt)


def limits_are_default() -> bool:
    """Whether job spans can do without the SDK: the operator sets no limit that it would have to keep."""
    return not any(name in os.environ for name in _ASKS_FOR_THE_SDK)


def remote_context(traceparent: str) -> SpanContext:
    """The span that `traceparent`, which must have passed `parse`, names in another process."""
    return SpanContext(
        trace_id=int(traceparent[3:35], 16),
        span_id=int(traceparent[36:52], 16),
        is_remote=True,
        trace_flags=TraceFlags(int(traceparent[53:55], 16)),
    )


class JobSpan(trace.Span):
    """A CONSUMER span, current and whole for OpenTelemetry; `end` hands it to the processor."""

    def __init__(
        self, spans: JobSpans, parent: str, work: Work, *, event_id: str, job_id: str, attempt: int
    ) -> None:
        self.parent = parent
        self.work = work
        self.event_id = event_id
        self.job_id = job_id
        self.attempt = attempt
        random = int(parent[53:55], 16) & TraceFlags.RANDOM_TRACE_ID
        self.context = SpanContext(
            int(parent[3:35], 16), getrandbits(64) or 1, False, _SAMPLED_RANDOM if random else _SAMPLED
        )
        self.started_ns = time_ns()
        self.ended_ns = 0
        self.resource = spans.resource
        self._processor = spans.processor
        self._of_sdk: _SpanOfSdk | None = None

    def get_span_context(self) -> SpanContext:
        """What children and other processes refer to."""
        return self.context

    def is_recording(self) -> bool:
        """Whether it has not ended."""
        return not self.ended_ns

    def end(self, end_time: int | None = None) -> None:
        """Hand it on to be exported; only the first call counts."""
        if self.ended_ns:
            return
        self.ended_ns = end_time or time_ns()
        if self._of_sdk is not None:
            self._of_sdk.end(self.ended_ns)
        else:
            # A processor for batches looks at `context` alone before the exporter has it.
            self._processor.on_end(cast("ReadableSpan", self))

    def set_attribute(self, key: str, value: "AttributeValue") -> None:
        """As the SDK does."""
        self._whole().set_attribute(key, value)

    def set_attributes(self, attributes: "Mapping[str, AttributeValue]") -> None:
        """As the SDK does."""
        self._whole().set_attributes(attributes)

    def add_event(self, name: str, attributes: "Attributes" = None, timestamp: int | None = None) -> None:
        """As the SDK does."""
        self._whole().add_event(name, attributes, timestamp)

    def add_link(self, context: SpanContext, attributes: "Attributes" = None) -> None:
        """As the SDK does."""
        self._whole().add_link(context, attributes)

    def update_name(self, name: str) -> None:
        """As the SDK does."""
        self._whole().update_name(name)

    def set_status(self, status: trace.Status | trace.StatusCode, description: str | None = None) -> None:
        """As the SDK does."""
        self._whole().set_status(status, description)

    def record_exception(
        self,
        exception: BaseException,
        attributes: "Attributes" = None,
        timestamp: int | None = None,
        escaped: bool = False,  # noqa: FBT001, FBT002 - OpenTelemetry's signature
    ) -> None:
        """As the SDK does."""
        self._whole().record_exception(exception, attributes, timestamp, escaped)

    def _whole(self) -> trace.Span:
        with _making:
            if self._of_sdk is None:
                if self.ended_ns:
                    return trace.INVALID_SPAN
                self._of_sdk = self._as_of_sdk()
            return self._of_sdk

    def _as_of_sdk(self) -> "_SpanOfSdk":
        parent = remote_context(self.parent)
        span = _SpanOfSdk(
            name=self.work.span_name,
            context=self.context,
            parent=parent,
            kind=SpanKind.CONSUMER,
            links=(Link(parent),),
            attributes=self.work.attributes(self.event_id, self.job_id, self.attempt),
            resource=self.resource,
            instrumentation_scope=SCOPE,
            span_processor=self._processor,
            limits=SpanLimits(),
        )
        span.start(self.started_ns)
        return span


class _SpanOfSdk(SdkSpan):
    """The SDK's span with ids of our choice: its tracer would choose others."""
