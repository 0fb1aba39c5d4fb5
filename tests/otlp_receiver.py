"""A collector for tests: takes OTLP over HTTP on a port of its own, and keeps the spans to look at."""

import asyncio
import gzip
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanProto
from opentelemetry.proto.trace.v1.trace_pb2 import Status as StatusProto

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from opentelemetry.proto.common.v1.common_pb2 import KeyValue

AttributeValue = str | int | float | bool


@dataclass(frozen=True, slots=True)
class ReceivedLink:
    trace_id: str
    span_id: str
    attributes: dict[str, AttributeValue]


@dataclass(frozen=True, slots=True)
class ReceivedSpan:
    """A span as it came over the wire; ids in hex, `kind` as SERVER, CLIENT, PRODUCER or CONSUMER."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str | None
    attributes: dict[str, AttributeValue]
    links: tuple[ReceivedLink, ...]
    events: dict[str, dict[str, AttributeValue]]
    failed: bool
    status_message: str
    resource: dict[str, AttributeValue]


@dataclass(slots=True)
class OtlpReceiver:
    """`async with OtlpReceiver() as receiver`, then set OTEL_EXPORTER_OTLP_ENDPOINT to `receiver.url`."""

    spans: list[ReceivedSpan] = field(default_factory=list[ReceivedSpan])
    requests: int = 0
    url: str = ""
    _server: "_Server | None" = None
    _loop: asyncio.AbstractEventLoop | None = None
    _came: asyncio.Event = field(default_factory=asyncio.Event)

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._server = _Server(self._take)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            await asyncio.to_thread(self._server.shutdown)
            self._server.server_close()

    def named(self, name: str) -> ReceivedSpan:
        """The one span of this name."""
        (span,) = [span for span in self.spans if span.name == name]
        return span

    async def until(
        self, enough: "Callable[[list[ReceivedSpan]], bool]", *, limit_s: float = 10.0
    ) -> list[ReceivedSpan]:
        """The spans, once there are enough; TimeoutError, with the names of those that came, when never."""
        try:
            async with asyncio.timeout(limit_s):
                while not enough(self.spans):
                    self._came.clear()
                    await self._came.wait()
        except TimeoutError as late:
            raise TimeoutError(f"after {limit_s} s only {sorted(s.name for s in self.spans)}") from late
        return self.spans

    def _take(self, body: bytes) -> None:
        spans = list(_decode(body))
        self.spans.extend(spans)
        self.requests += 1
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._came.set)


class _Server(ThreadingHTTPServer):
    def __init__(self, take: "Callable[[bytes], None]") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.take = take


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server  # pyright: ignore[reportIncompatibleVariableOverride] - only _Server makes one

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        found = self.path == "/v1/traces"
        if found:
            self.server.take(body)
        answer = ExportTraceServiceResponse().SerializeToString() if found else b""
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Say nothing."""


def _decode(body: bytes) -> "Iterable[ReceivedSpan]":
    for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        resource = _plain(of_resource.resource.attributes)
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                yield _received(span, resource)


def _received(span: SpanProto, resource: dict[str, AttributeValue]) -> ReceivedSpan:
    return ReceivedSpan(
        name=span.name,
        kind=SpanProto.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex() or None,
        attributes=_plain(span.attributes),
        links=tuple(
            ReceivedLink(link.trace_id.hex(), link.span_id.hex(), _plain(link.attributes))
            for link in span.links
        ),
        events={event.name: _plain(event.attributes) for event in span.events},
        failed=span.status.code == StatusProto.STATUS_CODE_ERROR,
        status_message=span.status.message,
        resource=resource,
    )


def _plain(attributes: "Iterable[KeyValue]") -> dict[str, AttributeValue]:
    return {
        pair.key: getattr(pair.value, pair.value.WhichOneof("value") or "string_value") for pair in attributes
    }
