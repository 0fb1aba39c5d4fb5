"""What exporters may send to the collector, and what they hear."""

import asyncio
import gzip
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.trace import Link, SpanKind, StatusCode, format_span_id, format_trace_id

from monitor.traces import spans as spans_module
from monitor.traces.span_writer import SpanWriter
from tests.monitor.bodies import Made, otlp, trace_id
from tests.monitor.running import Running, Sender, running, until

JSON = {"content_type": "application/json"}
NO_REQUESTS: list[tuple[bytes, dict[str, str]]] = [
    (b"\xff\xff no protobuf", {}),
    (b"no gzip", {"content_encoding": "gzip"}),
    (gzip.compress(otlp(Made(trace=1, span=1)))[:-9], {"content_encoding": "gzip"}),
    (b"{", JSON),
    (b"[]", JSON),
    (b'{"resourceSpans": 3}', JSON),
    (b'{"resourceSpans": [{"scopeSpans": [{"spans": ["x"]}]}]}', JSON),
    (
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "xyz"}]}]}]}',
        JSON,
    ),
]


async def test_what_an_sdk_exports_is_read_back_as_jaeger_writes_it(monitor: Running) -> None:
    shop = Sender("shop", monitor)
    with shop.tracer.start_as_current_span("earlier") as earlier:
        pass
    with shop.tracer.start_as_current_span("POST /orders", kind=SpanKind.SERVER) as parent:
        link = Link(earlier.get_span_context())
        with shop.tracer.start_as_current_span("reserve", kind=SpanKind.CLIENT, links=[link]) as child:
            child.set_attributes({"sku": "A1", "quantity": 3, "price": 1.5, "is_new": True, "lines": [1, 2]})
            child.add_event("retried", {"attempt": 2})
            child.set_status(StatusCode.ERROR, "no stock")
    await shop.flush()

    answer = (await monitor.get(f"/api/traces/{format_trace_id(parent.get_span_context().trace_id)}")).json()

    trace = answer["data"][0]
    root, reserve = trace["spans"]
    assert trace["processes"]["p1"]["serviceName"] == "shop"
    assert (root["operationName"], root["references"]) == ("POST /orders", [])
    assert reserve["processID"] == "p1"
    assert reserve["references"] == [
        {
            "refType": "CHILD_OF",
            "traceID": trace["traceID"],
            "spanID": format_span_id(parent.get_span_context().span_id),
        },
        {
            "refType": "FOLLOWS_FROM",
            "traceID": format_trace_id(earlier.get_span_context().trace_id),
            "spanID": format_span_id(earlier.get_span_context().span_id),
        },
    ]
    assert reserve["tags"][:5] == [
        {"key": "sku", "type": "string", "value": "A1"},
        {"key": "quantity", "type": "int64", "value": 3},
        {"key": "price", "type": "float64", "value": 1.5},
        {"key": "is_new", "type": "bool", "value": True},
        {"key": "lines", "type": "string", "value": "[1,2]"},
    ]
    assert {"key": "span.kind", "type": "string", "value": "client"} in reserve["tags"]
    assert {"key": "error", "type": "bool", "value": True} in reserve["tags"]
    assert {"key": "otel.status_description", "type": "string", "value": "no stock"} in reserve["tags"]
    assert reserve["logs"][0]["fields"] == [
        {"key": "event", "type": "string", "value": "retried"},
        {"key": "attempt", "type": "int64", "value": 2},
    ]
    assert root["startTime"] <= reserve["startTime"] <= reserve["logs"][0]["timestamp"]


async def test_a_compressed_export_is_taken(monitor: Running) -> None:
    shop = Sender("shop", monitor, compression=Compression.Gzip)
    with shop.tracer.start_as_current_span("work"):
        pass
    await shop.flush()

    assert (await monitor.get("/api/services")).json()["data"] == ["shop"]


async def test_spans_in_otlp_json_are_taken_with_their_ids_in_hex(monitor: Running) -> None:
    span = {"traceId": "5B8EFFF798038103D269B633813FC60C", "spanId": "EEE19B7EC3C1B174", "name": "by curl"}
    document = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}

    answer = await monitor.post(msgspec.json.encode(document), content_type="application/json")

    assert (answer.status_code, answer.json()) == (200, {})
    trace = (await monitor.get("/api/traces/5b8efff798038103d269b633813fc60c")).json()["data"][0]
    assert trace["spans"][0]["spanID"] == "eee19b7ec3c1b174"
    assert trace["processes"]["p1"]["serviceName"] == "unknown_service"


async def test_a_span_that_comes_twice_is_stored_once(monitor: Running) -> None:
    for _ in range(2):
        assert (await monitor.post(otlp(Made(trace=1, span=1)))).status_code == 200

    spans = (await monitor.get(f"/api/traces/{trace_id(1)}")).json()["data"][0]["spans"]
    assert len(spans) == 1


async def test_spans_without_valid_ids_are_refused_and_the_others_stored(monitor: Running) -> None:
    answer = await monitor.post(otlp(Made(trace=0, span=1), Made(trace=1, span=0), Made(trace=1, span=1)))

    partial = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert answer.status_code == 200
    assert partial.rejected_spans == 2
    assert "trace_id" in partial.error_message
    assert len((await monitor.get(f"/api/traces/{trace_id(1)}")).json()["data"][0]["spans"]) == 1
    assert 'spans_refused_total{reason="invalid"} 2.0' in (await monitor.get("/metrics")).text


async def test_a_body_that_is_none_is_a_400_with_a_status(
    monitor: Running, subtests: pytest.Subtests
) -> None:
    for body, headers in NO_REQUESTS:
        with subtests.test(body=body[:20]):
            answer = await monitor.post(body, **headers)

            is_json = headers is JSON
            message = answer.json()["message"] if is_json else Status.FromString(answer.content).message
            assert answer.status_code == 400
            assert answer.headers["content-type"] == (
                "application/json" if is_json else "application/x-protobuf"
            )
            assert "the body is no" in message or "gzip body" in message or "no hex" in message


async def test_another_type_or_encoding_is_a_415_that_names_ours(monitor: Running) -> None:
    for headers in ({"content_type": "text/plain"}, {"content_encoding": "br"}):
        answer = await monitor.post(b"", **headers)

        assert answer.status_code == 415
        assert answer.headers["accept-encoding"] == "gzip, identity"
        assert "application/x-protobuf" in answer.json()["message"]


async def test_a_body_over_16_mb_is_a_413_before_and_after_inflation(monitor: Running) -> None:
    zeros = bytes(17 * 1024 * 1024)

    plain = await monitor.post(zeros)
    bomb = await monitor.post(gzip.compress(zeros, 1), content_encoding="gzip")

    assert (plain.status_code, bomb.status_code) == (413, 413)
    assert "16777216 bytes" in Status.FromString(bomb.content).message


async def test_other_signals_are_not_found(monitor: Running) -> None:
    for signal in ("metrics", "logs"):
        answer = await monitor.client.post(monitor.otlp_url.replace("traces", signal))

        assert answer.status_code == 404


async def test_the_two_ports_do_not_serve_each_other(monitor: Running) -> None:
    spans_on_the_pages = await monitor.client.post("/v1/traces", content=b"")
    pages_on_the_collector = await monitor.client.get(monitor.otlp_url.replace("/v1/traces", "/traces"))

    assert (spans_on_the_pages.status_code, pages_on_the_collector.status_code) == (404, 404)


async def test_a_full_queue_asks_the_exporter_to_try_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing, may_write = threading.Event(), threading.Event()
    turn = SpanWriter.turn

    def held_turn(writer: SpanWriter, spans: Any) -> Any:
        if spans:
            writing.set()
            may_write.wait(10)
        return turn(writer, spans)

    monkeypatch.setattr(SpanWriter, "turn", held_turn)
    monkeypatch.setattr(spans_module, "QUEUED_MAX", 1)
    async with running(tmp_path) as monitor:
        first = asyncio.create_task(monitor.post(otlp(Made(trace=1, span=1))))
        await until(lambda: asyncio.to_thread(writing.is_set))

        second = await monitor.post(otlp(Made(trace=2, span=1)))
        may_write.set()

        assert (second.status_code, second.headers["retry-after"]) == (503, "1")
        assert (await first).status_code == 200
        third = await monitor.post(otlp(Made(trace=2, span=1)))
        assert third.status_code == 200


async def test_a_failed_write_is_a_503_and_shows_in_readyz_until_one_succeeds(
    monitor: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(writer: SpanWriter, spans: object) -> object:
        del writer, spans
        raise OSError("database or disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(SpanWriter, "turn", full)
        refused = await monitor.post(otlp(Made(trace=1, span=1)))
        ready = await monitor.get("/readyz")
    again = await monitor.post(otlp(Made(trace=1, span=1)))

    assert (refused.status_code, ready.status_code) == (503, 503)
    assert "disk is full" in ready.text
    assert again.status_code == 200
    assert (await monitor.get("/readyz")).status_code == 200
