"""The client of Jaeger's query API, against our own, which speaks the same: what went in comes out."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import msgspec
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from monitor.traces.jaeger_client import JaegerClient
from monitor.traces.jaeger_document import TraceDocument, spans_of_document
from monitor.traces.reader import ReadFailed
from monitor.traces.request import Requests
from monitor.traces.search import Cursor
from monitor.traces.span import Span, spans_of
from tests.monitor.bodies import NOW_US, Made, otlp, trace_id
from tests.monitor.running import Running, free_port, running

ROOT = Made(trace=1, span=1, service="shop", name="POST /orders", took_us=50_000, tags=(("colour", "red"),))
CHILD = Made(trace=1, span=2, parent=1, service="mail", name="send", start_us=NOW_US + 10, is_error=True)


def _sent(*made: Made) -> list[Span]:
    return list(spans_of(ExportTraceServiceRequest.FromString(otlp(*made))).spans)


def _rich() -> ExportTraceServiceRequest:
    """A span with all that a span can have."""
    request = ExportTraceServiceRequest.FromString(otlp(ROOT))
    span = request.resource_spans[0].scope_spans[0].spans[0]
    span.attributes.add(key="count").value.int_value = 2**60
    span.attributes.add(key="ratio").value.double_value = 0.5
    span.attributes.add(key="is_dry").value.bool_value = True
    span.attributes.add(key="bytes").value.bytes_value = b"\x00\xff"
    span.events.add(name="retry", time_unix_nano=NOW_US * 1000)
    span.links.add(trace_id=(7).to_bytes(16), span_id=(8).to_bytes(8))
    return request


@pytest.fixture
async def jaeger(monitor: Running) -> AsyncGenerator[JaegerClient]:
    async with JaegerClient(str(monitor.client.base_url)) as client:
        yield client


async def test_a_trace_comes_back_as_it_went_in(monitor: Running, jaeger: JaegerClient) -> None:
    rich = _rich()
    await monitor.post(rich.SerializeToString())
    await monitor.post(otlp(CHILD))

    read = await jaeger.trace(bytes.fromhex(trace_id(1)))

    assert read == [*spans_of(rich).spans, *_sent(CHILD)]
    assert await jaeger.trace(bytes.fromhex(trace_id(9))) == []


async def test_the_newest_traces_are_listed_of_all_services_or_of_one(
    monitor: Running, jaeger: JaegerClient
) -> None:
    later = Made(trace=2, span=3, service="shop", name="browse", start_us=NOW_US + 5)
    await monitor.post(otlp(ROOT, CHILD, later))

    everything, more = await jaeger.recent(limit=50)
    of_mail, _ = await jaeger.recent(service="mail", limit=50)

    assert [(one.root_operation, one.spans, one.errors) for one in everything] == [
        ("browse", 1, 0),
        ("POST /orders", 2, 1),
    ]
    assert (everything[1].services, everything[1].root_service) == (["shop", "mail"], "shop")
    assert [one.root_operation for one in of_mail] == ["POST /orders"]
    assert more is None
    assert await jaeger.services() == ["mail", "shop"]


@pytest.mark.parametrize("service", [None, "shop"])
async def test_all_traces_are_come_to_page_by_page(
    monitor: Running, jaeger: JaegerClient, service: str | None
) -> None:
    # One service has many more than are asked of each: the others' older ones must not be left out.
    shop = [Made(trace=number, span=1, start_us=NOW_US - number * 10) for number in range(1, 61)]
    mail = [Made(trace=100, span=1, service="mail", start_us=NOW_US - 5_000)]
    await monitor.post(otlp(*shop, *mail))

    found: list[str] = []
    place: Cursor | None = None
    for _ in range(20):
        page, place = await jaeger.recent(service=service, after=place, limit=25)
        found += [one.trace_id.hex() for one in page]
        if place is None:
            break

    expected = [trace_id(number) for number in range(1, 61)]
    assert found == (expected if service else [*expected, trace_id(100)])


async def test_the_request_that_began_a_trace_is_found(monitor: Running, jaeger: JaegerClient) -> None:
    await monitor.post(otlp(ROOT, CHILD))
    requests = Requests(jaeger)

    assert await requests.of(trace_id(1)) == "POST /orders"
    assert await requests.of(trace_id(9)) is None
    assert await requests.of(None) is None


def test_what_only_a_jaeger_writes_is_read_too() -> None:
    document = msgspec.convert(
        {
            "traceID": "1f",
            "spans": [
                {
                    "traceID": "1f",
                    "spanID": "2",
                    "operationName": "later",
                    "references": [
                        {"refType": "CHILD_OF", "traceID": "ff", "spanID": "9"},
                        {"refType": "CHILD_OF", "traceID": "1f", "spanID": "1"},
                    ],
                    "startTime": 20,
                    "duration": 5,
                    "tags": [
                        {"key": "rows", "type": "int64", "value": "9007199254740993"},
                        {"key": "error", "type": "string", "value": "true"},
                    ],
                    "logs": None,
                    "processID": "p1",
                    "flags": 1,
                    "warnings": None,
                },
                {"traceID": "1f", "spanID": "1", "startTime": 10, "duration": 30, "processID": "gone"},
            ],
            "processes": {"p1": {"serviceName": "shop", "tags": None}},
            "warnings": ["clock skew"],
        },
        TraceDocument,
    )

    first, later = spans_of_document(document)

    assert (first.operation, first.resource.service) == ("", "unknown_service")
    assert (later.trace_id.hex(), later.parent_id) == (trace_id(0x1F), (1).to_bytes(8))
    assert [link.trace_id for link in later.details.links] == [trace_id(0xFF)]
    assert (later.is_error, later.details.tags[0].value) == (True, 9007199254740993)


async def test_a_jaeger_that_is_away_is_told_in_one_line(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with_password = url.replace("//", "//reader:secret@")
    async with running(tmp_path, jaeger_url=with_password) as monitor:
        answers = await asyncio.gather(monitor.get("/traces"), monitor.get(f"/traces/{trace_id(1)}"))

    for answer in answers:
        assert answer.status_code == 503
        assert f"the Jaeger at {url} does not answer" in answer.text
        assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        ("200 OK", '["a list"]', "is no query API of Jaeger"),
        (
            "500 Broken",
            '{"data": null, "errors": [{"msg": "the disk is full"}]}',
            "refused: 500 the disk is full",
        ),
        ("502 Bad", "<html>", "refused: 502$"),
    ],
)
async def test_what_is_no_jaeger_or_refuses_is_told_as_what_it_is(status: str, body: str, told: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with JaegerClient(f"http://127.0.0.1:{port}/") as client:
            with pytest.raises(ReadFailed, match=told):
                await client.services()


async def test_the_pages_read_from_the_jaeger_that_is_named(tmp_path: Path, monitor: Running) -> None:
    await monitor.post(otlp(ROOT, CHILD))
    async with running(tmp_path / "other", jaeger_url=str(monitor.client.base_url)) as other:
        listed = await other.get("/traces")
        page = await other.get(f"/traces/{trace_id(1)}")

    assert "POST /orders" in listed.text
    assert "send" in page.text
    assert "/api/traces/" not in page.text
