"""Spans as a collector receives them, and trace ids where there is none."""

import asyncio
import logging
import socket
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from shared.telemetry import Message, Span, Tracing, configure_tracing, current_traceparent, new_traceparent
from shared.telemetry import trace_id_of as trace_id

if TYPE_CHECKING:
    from tests.otlp_receiver import OtlpReceiver

CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
CALLERS_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLERS_SPAN = "00f067aa0ba902b7"
MALFORMED = [
    "",
    "nonsense",
    "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
    "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
    "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\n",
]


def process(tracing: Tracing, traceparent: str | None, *, event_id: str = "e1", attempt: int = 1) -> Span:
    return tracing.process(
        system="redis",
        destination="user.registered",
        group="email",
        event_id=event_id,
        event_type="user.registered",
        event_source="/gateway",
        traceparent=traceparent,
        handler="send_welcome",
        job_id="j1",
        attempt=attempt,
    )


async def test_a_request_its_event_and_its_job_are_one_trace(
    tracing: Tracing, collector: "OtlpReceiver"
) -> None:
    with tracing.request("POST", "/v1/users", traceparent=CALLER) as request:
        request.rename("POST /v1/users")
        traceparent = tracing.create("user.registered", "e1")
    with tracing.send("redis", "user.registered", [Message("e1", traceparent)]):
        pass
    with (
        process(tracing, traceparent),
        tracing.client("SMTP send", {"server.address": "mx", "server.port": 25}),
    ):
        pass

    await collector.until(lambda spans: len(spans) == 5)
    assert {span.trace_id for span in collector.spans} == {CALLERS_TRACE}
    request_span, create = collector.named("POST /v1/users"), collector.named("create user.registered")
    send, job = collector.named("send user.registered"), collector.named("process user.registered")
    smtp = collector.named("SMTP send")
    assert [span.kind for span in (request_span, create, send, job, smtp)] == [
        "SERVER",
        "PRODUCER",
        "CLIENT",
        "CONSUMER",
        "CLIENT",
    ]
    assert [span.parent_id for span in (request_span, create, send, job, smtp)] == [
        CALLERS_SPAN,
        request_span.span_id,
        create.span_id,
        create.span_id,
        job.span_id,
    ]
    assert [link.span_id for link in job.links] == [create.span_id]
    assert [link.span_id for link in send.links] == [create.span_id]
    assert smtp.attributes == {"server.address": "mx", "server.port": 25}


async def test_a_job_is_described_by_the_conventions_of_messaging_and_cloudevents(
    tracing: Tracing, collector: "OtlpReceiver"
) -> None:
    with process(tracing, CALLER, attempt=3):
        pass

    (job,) = await collector.until(lambda spans: len(spans) == 1)
    assert job.attributes == {
        "messaging.system": "redis",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "user.registered",
        "messaging.consumer.group.name": "email",
        "messaging.message.id": "e1",
        "cloudevents.event_id": "e1",
        "cloudevents.event_source": "/gateway",
        "cloudevents.event_type": "user.registered",
        "cloudevents.event_spec_version": "1.0",
        "trunkline.handler": "send_welcome",
        "trunkline.job.id": "j1",
        "trunkline.job.attempt": 3,
    }
    assert not job.failed


async def test_the_service_is_named_and_the_operators_variables_prevail(
    collector: "OtlpReceiver", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "email-eu")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=staging")
    tracing = configure_tracing("email", "1.2.3", "email-1")

    tracing.create("user.registered", "e1")
    await tracing.close()

    resource = collector.spans[0].resource
    assert resource["service.name"] == "email-eu"
    assert resource["deployment.environment.name"] == "staging"
    assert resource["service.namespace"] == "trunkline"
    assert resource["service.version"] == "1.2.3"
    assert resource["service.instance.id"] == "email-1"


async def test_a_message_that_has_no_context_yet_gets_that_of_its_send_span(
    tracing: Tracing, collector: "OtlpReceiver"
) -> None:
    with tracing.send("nats", "user.registered", [Message("e1")]) as span:
        handed_on = span.traceparent

    (send,) = await collector.until(lambda spans: len(spans) == 1)
    assert (send.kind, send.links) == ("PRODUCER", ())
    assert handed_on[36:52] == send.span_id
    assert send.attributes["messaging.message.id"] == "e1"


async def test_a_batch_is_one_client_span_with_a_link_to_the_creation_of_each_message(
    tracing: Tracing, collector: "OtlpReceiver"
) -> None:
    first, second = tracing.create("user.registered", "e1"), tracing.create("user.registered", "e2")

    with tracing.send(
        "redis", "user.registered", [Message("e1", first), Message("e2", second), Message("e3")]
    ):
        pass

    await collector.until(lambda spans: len(spans) == 3)
    send = collector.named("send user.registered")
    assert (send.kind, send.parent_id) == ("CLIENT", None)
    assert send.attributes["messaging.batch.message_count"] == 3
    assert "messaging.message.id" not in send.attributes
    assert {(link.span_id, link.attributes["messaging.message.id"]) for link in send.links} == {
        (first[36:52], "e1"),
        (second[36:52], "e2"),
    }


async def test_an_exception_fails_the_span_and_shows_no_address(
    tracing: Tracing, collector: "OtlpReceiver"
) -> None:
    with pytest.raises(LookupError), process(tracing, CALLER):
        raise LookupError("no mailbox ada@example.org at smtp://user:hunter2@relay")

    (job,) = await collector.until(lambda spans: len(spans) == 1)
    assert job.failed
    assert job.attributes["error.type"] == "LookupError"
    exception = job.events["exception"]
    assert exception["exception.type"] == "LookupError"
    assert "test_traces.py" in str(exception["exception.stacktrace"])
    told = f"{exception} {job.status_message}"
    assert "no mailbox [redacted]" in told
    assert "ada@" not in told
    assert "hunter2" not in told


async def test_an_expected_failure_fails_the_span_without_an_exception(
    tracing: Tracing, collector: "OtlpReceiver"
) -> None:
    with process(tracing, CALLER) as span:
        span.fail("RelayBusy", "retry after 5 s")

    (job,) = await collector.until(lambda spans: len(spans) == 1)
    assert (job.failed, job.attributes["error.type"], job.events) == (True, "RelayBusy", {})
    assert job.status_message == "retry after 5 s"


async def test_a_cancelled_job_passes_its_cancellation_on_and_keeps_no_stack(
    tracing: Tracing, collector: "OtlpReceiver"
) -> None:
    with pytest.raises(asyncio.CancelledError), process(tracing, CALLER):
        raise asyncio.CancelledError

    (job,) = await collector.until(lambda spans: len(spans) == 1)
    assert job.attributes["error.type"] == "asyncio.exceptions.CancelledError"
    assert job.events == {}


async def test_inside_a_job_its_span_is_the_current_one_and_outside_there_is_none(tracing: Tracing) -> None:
    with process(tracing, CALLER) as job:
        inside = current_traceparent()
        with tracing.client("SMTP send") as smtp:
            deeper = current_traceparent()

    assert inside == job.traceparent
    assert deeper == smtp.traceparent
    assert trace_id(inside) == trace_id(deeper) == job.trace_id == CALLERS_TRACE
    assert current_traceparent() is None


async def test_a_job_leaves_out_the_span_around_it(tracing: Tracing, collector: "OtlpReceiver") -> None:
    with tracing.client("loop"), process(tracing, CALLER), process(tracing, None, event_id="e2"):
        pass

    await collector.until(lambda spans: len(spans) == 3)
    by_event = {span.attributes.get("cloudevents.event_id"): span for span in collector.spans}
    assert by_event["e1"].parent_id == CALLERS_SPAN
    assert (by_event["e2"].parent_id, by_event["e2"].links) == (None, ())


@pytest.mark.parametrize("traceparent", MALFORMED)
async def test_a_malformed_traceparent_names_no_trace_and_starts_a_new_one(
    tracing: Tracing, traceparent: str
) -> None:
    with tracing.request("GET", "/", traceparent=traceparent) as request:
        pass

    assert trace_id(traceparent) is None
    assert request.trace_id not in {CALLERS_TRACE, "0" * 32}


def test_a_traceparent_of_a_later_version_is_read_by_its_first_fields() -> None:
    assert trace_id(CALLER.replace("00-", "cc-", 1) + "-what-the-future-adds") == CALLERS_TRACE
    assert trace_id(None) is None


async def test_without_a_collector_nothing_is_recorded_and_every_trace_has_its_id() -> None:
    tracing = configure_tracing("email", "1.2.3", "email-1")

    with tracing.request("POST", "/v1/users") as request:
        event = tracing.create("user.registered", "e1")
    with process(tracing, event) as job, tracing.client("SMTP send") as smtp:
        inside = current_traceparent()
    orphan = tracing.create("user.registered", "e2")
    await tracing.close()

    assert not tracing.is_recording
    assert request.trace_id == trace_id(event) == job.trace_id == smtp.trace_id == trace_id(inside)
    assert event != request.traceparent
    assert trace_id(orphan) not in {None, request.trace_id}
    assert trace_id(new_traceparent()) is not None


@pytest.mark.parametrize(("name", "value"), [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none")])
async def test_the_standard_switches_turn_recording_off(
    collector: "OtlpReceiver", monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    tracing = configure_tracing("email", "1.2.3", "email-1")

    tracing.create("user.registered", "e1")
    await tracing.close()

    assert not tracing.is_recording
    assert collector.requests == 0


async def test_a_trace_that_is_not_sampled_is_left_out_from_end_to_end(
    collector: "OtlpReceiver", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0")
    tracing = configure_tracing("email", "1.2.3", "email-1")

    with tracing.request("POST", "/v1/users") as request:
        event = tracing.create("user.registered", "e1")
    with process(tracing, event) as job, tracing.client("SMTP send"):
        pass
    with process(tracing, CALLER):
        pass
    await tracing.close()

    assert request.trace_id == job.trace_id == trace_id(event)
    assert [span.parent_id for span in collector.spans] == [CALLERS_SPAN]


async def test_grpc_is_refused_at_the_start(
    collector: "OtlpReceiver", monkeypatch: pytest.MonkeyPatch
) -> None:
    assert collector.url
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")

    with pytest.raises(ValueError, match="OTEL_EXPORTER_OTLP_PROTOCOL is grpc"):
        configure_tracing("email", "1.2.3", "email-1")


async def test_what_is_queued_is_sent_at_the_close_gzip_too(
    collector: "OtlpReceiver", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "60000")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    tracing = configure_tracing("email", "1.2.3", "email-1")

    for _ in range(600):
        tracing.create("user.registered", "e1")
    await tracing.close()

    assert len(collector.spans) == 600


async def test_a_collector_that_is_away_costs_one_warning_a_minute(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        socket.socket() as bound
    ):  # bound, not listening: nobody else gets the port, and it refuses connections
        bound.bind(("127.0.0.1", 0))
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{bound.getsockname()[1]}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
        monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "600")
        caplog.set_level(logging.DEBUG, logger="opentelemetry")
        tracing = configure_tracing("email", "1.2.3", "email-1")

        for _ in range(3000):
            tracing.create("user.registered", "e1")
        await tracing.close()

    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.levelname for record in warnings] == ["WARNING"]


async def test_closing_gives_up_on_a_collector_that_never_answers_and_leaves_the_loop_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{deaf.getsockname()[1]}")
        tracing = configure_tracing("email", "1.2.3", "email-1")
        tracing.create("user.registered", "e1")

        started_at = time.perf_counter()
        closing = asyncio.create_task(tracing.close(timedelta(seconds=0.3)))
        for _ in range(100):  # turns of the loop, which a blocking close would not let pass
            await asyncio.sleep(0)
        turned_s = time.perf_counter() - started_at
        await closing
        took_s = time.perf_counter() - started_at

    assert turned_s < 0.2
    assert 0.3 <= took_s < 1
