"""A job's span, which we encode, beside what the SDK makes of the same job."""

import threading
from typing import TYPE_CHECKING

import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.trace import SpanContext

from shared.telemetry import configure_tracing, names
from shared.telemetry.job_span import JobSpan, JobSpans, Work
from shared.telemetry.job_span_export import JobSpanExporter, request_of
from shared.telemetry.spans import RecordedSpan
from tests.telemetry.test_traces import CALLER, CALLERS_SPAN, CALLERS_TRACE, process

if TYPE_CHECKING:
    from shared.telemetry import Tracing
    from tests.otlp_receiver import OtlpReceiver

RESOURCE = Resource.create({"service.name": "email"})
WORK = Work("redis", "user.registered", "email.send", "/gateway", "user.registered", "email.send")


class Kept(SpanProcessor):
    """Keeps what ended."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)


def ours(work: Work, event_id: str, attempt: int) -> JobSpan:
    return JobSpans(Kept(), RESOURCE).start(CALLER, work, event_id, f"{work.handler}:{event_id}", attempt)


def as_the_sdk_sends(span: JobSpan) -> bytes:
    """The same job by the SDK's own tracer, with the ids and times of `span`, which has ended."""
    kept = Kept()
    provider = TracerProvider(resource=RESOURCE, shutdown_on_exit=False)
    provider.add_span_processor(kept)
    parent = SpanContext(int(CALLERS_TRACE, 16), int(CALLERS_SPAN, 16), True, trace.TraceFlags(1))
    provider.get_tracer(names.NAMESPACE).start_span(
        span.work.span_name,
        context=trace.set_span_in_context(trace.NonRecordingSpan(parent)),
        kind=trace.SpanKind.CONSUMER,
        links=[trace.Link(parent)],
        attributes=span.work.attributes(span.event_id, span.job_id, span.attempt),
        start_time=span.started_ns,
    ).end(span.ended_ns)
    request = encode_spans(kept.spans)
    request.resource_spans[0].scope_spans[0].spans[0].span_id = span.context.span_id.to_bytes(8)
    return request.SerializeToString()


@pytest.mark.parametrize("attempt", [0, 1, 127, 128, 300, 70_000])
@pytest.mark.parametrize("event_id", ["e1", "", "Žluťoučký 馬 🐎", "x" * 127, "x" * 128, "ü" * 9000])
def test_the_bytes_are_those_that_the_sdk_sends(event_id: str, attempt: int) -> None:
    span = ours(WORK._replace(event_source=f"/{event_id}", handler="email.送る"), event_id, attempt)

    span.end()

    assert request_of([span]) == as_the_sdk_sends(span)


async def test_a_job_that_nobody_adds_to_is_a_job_span_and_parent_of_what_runs_in_it(
    tracing: "Tracing", collector: "OtlpReceiver"
) -> None:
    with process(tracing, CALLER) as job:
        current = trace.get_current_span()
        with tracing.client("SMTP send"):
            pass

    await collector.until(lambda spans: len(spans) == 2)
    received, smtp = collector.named("process user.registered"), collector.named("SMTP send")
    assert isinstance(current, JobSpan)
    assert job.traceparent == f"00-{CALLERS_TRACE}-{received.span_id}-01"
    assert (received.trace_id, received.parent_id, received.kind) == (CALLERS_TRACE, CALLERS_SPAN, "CONSUMER")
    assert [link.span_id for link in received.links] == [CALLERS_SPAN]
    assert (smtp.trace_id, smtp.parent_id) == (CALLERS_TRACE, received.span_id)
    assert smtp.resource == received.resource


async def test_a_handler_adds_to_its_span_through_opentelemetry(
    tracing: "Tracing", collector: "OtlpReceiver"
) -> None:
    with process(tracing, CALLER, attempt=300) as job:
        span = trace.get_current_span()
        assert span.is_recording()
        span.set_attributes({"order.total": 7, "order.rush": True})
        span.add_event("paid", {"by": "card"})
        span.update_name("charge")
        job.set("order.id", "o1")
    span.set_attribute("too", "late")

    (received,) = await collector.until(lambda spans: len(spans) == 1)
    assert not span.is_recording()
    assert (received.name, received.span_id, received.parent_id) == (
        "charge",
        job.traceparent[36:52],
        CALLERS_SPAN,
    )
    assert received.events == {"paid": {"by": "card"}}
    assert {name: value for name, value in received.attributes.items() if name.startswith("order.")} == {
        "order.id": "o1",
        "order.total": 7,
        "order.rush": True,
    }
    assert received.attributes["trunkline.job.attempt"] == 300
    assert "too" not in received.attributes


def test_a_failed_job_is_a_span_of_the_sdk_with_its_ids_and_times() -> None:
    kept = Kept()
    span = JobSpans(kept, RESOURCE).start(CALLER, WORK, "e1", "j1", 1)

    with pytest.raises(LookupError), RecordedSpan(span):
        raise LookupError("no mailbox")

    (ended,) = kept.spans
    assert (ended.context, ended.start_time, ended.end_time) == (span.context, span.started_ns, span.ended_ns)
    assert ended.status.status_code is trace.StatusCode.ERROR
    assert [event.name for event in ended.events] == ["exception"]
    assert ended.attributes == {**WORK.attributes("e1", "j1", 1), "error.type": "LookupError"}


def test_what_two_threads_add_at_once_is_in_one_span() -> None:
    kept = Kept()
    span = JobSpans(kept, RESOURCE).start(CALLER, WORK, "e1", "j1", 1)

    adding = [threading.Thread(target=span.set_attribute, args=(f"by.{n}", n)) for n in range(8)]
    for thread in adding:
        thread.start()
    for thread in adding:
        thread.join()
    span.end()
    span.end()

    (ended,) = kept.spans
    assert {f"by.{n}" for n in range(8)} <= set(ended.attributes or ())


async def test_limits_of_the_operator_are_kept_by_the_sdk(
    collector: "OtlpReceiver", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "4")
    tracing = configure_tracing("email", "1.2.3", "email-1")

    with process(tracing, CALLER):
        pass
    await tracing.close()

    assert collector.named("process user.registered").attributes["cloudevents.event_type"] == "user"


def test_the_sdks_exporter_still_sends_bytes_in_the_way_that_we_know() -> None:
    exporter = JobSpanExporter()

    assert exporter.takes_job_spans
    exporter.shutdown()
