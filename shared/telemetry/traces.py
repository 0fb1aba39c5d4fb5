"""Spans of requests and messages: a context comes in with each, OTLP goes out where somebody collects.

One trace joins them: the request -> `create` of each event -> `send`, `process` -> what the handler calls.
Without a collector (no OTEL_EXPORTER_OTLP_ENDPOINT) nothing is recorded, and a span only carries its trace.
Kinds, names and links: https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/
"""

import os
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import ParentBased
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Tracer,
    set_span_in_context,
)

from shared.telemetry import names
from shared.telemetry.export import FLUSH_LIMIT, Export, export_from_environment
from shared.telemetry.job_span import Work, remote_context
from shared.telemetry.spans import RecordedSpan, Span, traceparent_of
from shared.telemetry.trace_context import child_of, current_traceparent, is_sampled, new_traceparent, parse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.util.types import AttributeValue

System = Literal["redis", "nats"]

_NO_PARENT: Final = Context()
_MOST_LINKS: Final = 128  # the SDK's limit; of more it would keep the last and pay for all


class Message(NamedTuple):
    """An event that is sent: its id, and the context of its creation (its `traceparent`) where it has one."""

    event_id: str
    traceparent: str | None = None


def configure_tracing(service: str, version: str, instance: str) -> "Tracing":
    """Tracing by the standard OTEL_* variables, which prevail over the arguments; call `close` at the end.

    Raises ValueError for an OTLP protocol other than http/protobuf.
    """
    return Tracing(export_from_environment(service=service, version=version, instance=instance))


class Tracing:
    """Opens the spans of one process; `export` None records nothing."""

    def __init__(self, export: Export | None = None) -> None:
        self._export = export
        self._tracer: Tracer | None = export.tracer if export else None
        # The usual samplers follow their parent, so that its flag tells what the SDK would take 10 µs to say.
        self._follows_parent = isinstance(getattr(self._tracer, "sampler", None), ParentBased)
        self._job_spans = export.job_spans if export and self._follows_parent else None

    @property
    def is_recording(self) -> bool:
        """Whether spans are exported; sampling may still leave out a trace."""
        return self._tracer is not None

    async def close(self, limit: timedelta = FLUSH_LIMIT) -> None:
        """Send what is queued, for `limit` at most, without holding up the event loop; the rest is lost."""
        if self._export is not None:
            await self._export.close(limit)

    def request(self, method: str, path: str, *, traceparent: str | None = None) -> Span:
        """SERVER span of an HTTP request, in the caller's trace; a malformed `traceparent` starts a new one.

        Its name is the method alone: `rename` it when the route is known.
        """
        parent = parse(traceparent)
        tracer = self._tracer_under(parent)
        if tracer is None:
            return Span(parent or new_traceparent())
        return RecordedSpan(
            tracer.start_span(
                method,
                context=_remote(parent),
                kind=SpanKind.SERVER,
                attributes={names.HTTP_REQUEST_METHOD: method, names.URL_PATH: path},
            )
        )

    def create(self, event_type: str, event_id: str) -> str:
        """The traceparent of a new event: that of a PRODUCER span `create <type>`, which ends at once.

        Every later `send` and `process` of the event, also from other processes, refers to it.
        """
        current = current_traceparent()
        tracer = self._tracer_under(current)
        if tracer is None:
            return child_of(current) if current else new_traceparent()
        span = tracer.start_span(
            f"{names.CREATE} {event_type}",
            kind=SpanKind.PRODUCER,
            attributes={
                names.MESSAGING_OPERATION_NAME: names.CREATE,
                names.MESSAGING_OPERATION_TYPE: names.CREATE,
                names.MESSAGING_MESSAGE_ID: event_id,
                names.CLOUDEVENTS_EVENT_ID: event_id,
                names.CLOUDEVENTS_EVENT_TYPE: event_type,
                names.CLOUDEVENTS_EVENT_SPEC_VERSION: names.CLOUDEVENTS_VERSION,
            },
        )
        span.end()
        return traceparent_of(span)

    def send(self, system: System, destination: str, messages: "Sequence[Message]") -> Span:
        """Span `send <destination>` around handing messages to a broker.

        A single message without a creation context gets this span's (PRODUCER): hand on its `traceparent`.
        Else the span is a CLIENT linked to each creation context; outside any span, that of a single message
        is also its parent.
        """
        single = messages[0] if len(messages) == 1 else None
        creation = parse(single.traceparent) if single else None
        current = current_traceparent()
        tracer = self._tracer_under(current or creation)
        if tracer is None:
            return Span(current or creation or new_traceparent())

        attributes: dict[str, AttributeValue] = {
            names.MESSAGING_SYSTEM: system,
            names.MESSAGING_OPERATION_NAME: names.SEND,
            names.MESSAGING_OPERATION_TYPE: names.SEND,
            names.MESSAGING_DESTINATION_NAME: destination,
        }
        kind, parent, links = SpanKind.CLIENT, None, _links_to(messages)
        if single is None:
            attributes[names.MESSAGING_BATCH_MESSAGE_COUNT] = len(messages)
        else:
            attributes[names.MESSAGING_MESSAGE_ID] = single.event_id
            kind = SpanKind.CLIENT if creation else SpanKind.PRODUCER
            parent = None if current else _remote(creation)
        return RecordedSpan(
            tracer.start_span(
                f"{names.SEND} {destination}", context=parent, kind=kind, attributes=attributes, links=links
            )
        )

    def process(
        self,
        *,
        system: System,
        destination: str,
        group: str,
        event_id: str,
        event_type: str,
        event_source: str,
        traceparent: str | None,
        handler: str,
        job_id: str,
        attempt: int,
    ) -> Span:
        """CONSUMER span `process <destination>` around one attempt of a job.

        The event's creation context is its parent, as the convention allows for single messages, and a link.
        Whatever span surrounds the call is left out: a worker's loop is no part of the event's trace.
        """
        creation = parse(traceparent)
        tracer = self._tracer_under(creation)
        if tracer is None:
            return Span(creation or new_traceparent())
        work = Work(system, destination, group, event_source, event_type, handler)
        if creation and self._job_spans is not None:
            return RecordedSpan(self._job_spans.start(creation, work, event_id, job_id, attempt))
        remote = remote_context(creation) if creation else None
        return RecordedSpan(
            tracer.start_span(
                work.span_name,
                context=_under(remote) if remote else _NO_PARENT,
                kind=SpanKind.CONSUMER,
                links=(Link(remote),) if remote else (),
                attributes=work.attributes(event_id, job_id, attempt),
            )
        )

    def child_process(self, handler: str, traceparent: str | None, *, job_id: str) -> Span:
        """INTERNAL span `run <handler>` around a job in a child process, under the attempt's span."""
        attempt = parse(traceparent)
        tracer = self._tracer_under(attempt)
        if tracer is None:
            return Span(attempt or new_traceparent())
        return RecordedSpan(
            tracer.start_span(
                f"{names.RUN} {handler}",
                context=_remote(attempt),
                attributes={
                    names.PROCESS_PID: os.getpid(),
                    names.TRUNKLINE_HANDLER: handler,
                    names.TRUNKLINE_JOB_ID: job_id,
                },
            )
        )

    def client(self, name: str, attributes: "Mapping[str, AttributeValue] | None" = None) -> Span:
        """CLIENT span around a call to somebody else, under the current span: SMTP, a webhook."""
        current = current_traceparent()
        tracer = self._tracer_under(current)
        if tracer is None:
            return Span(current or new_traceparent())
        return RecordedSpan(tracer.start_span(name, kind=SpanKind.CLIENT, attributes=attributes))

    def _tracer_under(self, parent: str | None) -> Tracer | None:
        """None when a span under `parent` would not be recorded."""
        if parent and self._follows_parent and not is_sampled(parent):
            return None
        return self._tracer


def _links_to(messages: "Sequence[Message]") -> list[Link]:
    """Links to what was recorded: a context that was not sampled has no span to lead to."""
    links: list[Link] = []
    for event_id, traceparent in messages[:_MOST_LINKS]:
        creation = parse(traceparent)
        if creation is None:
            continue
        context = remote_context(creation)
        if context.trace_flags.sampled:
            links.append(Link(context, {names.MESSAGING_MESSAGE_ID: event_id}))
    return links


def _remote(traceparent: str | None) -> Context:
    return _under(remote_context(traceparent)) if traceparent else _NO_PARENT


def _under(parent: SpanContext) -> Context:
    return set_span_in_context(NonRecordingSpan(parent), _NO_PARENT)
