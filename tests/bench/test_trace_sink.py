"""The collector of the bench: OTLP requests in, how many spans they held out."""

import asyncio

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from bench.ours.trace_sink import TraceSink
from launcher.probes import ask


def export(spans: int) -> bytes:
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for number in range(spans):
        scope.spans.add().name = f"span {number}"
    return request.SerializeToString()


async def test_it_counts_the_spans_of_all_requests() -> None:
    server = await asyncio.start_server(TraceSink().serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        for body in (export(3), export(4)):
            head = b"POST /v1/traces HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body)
            await ask(port, head + body)

        said = await ask(port, b"GET / HTTP/1.1\r\n\r\n")

    assert said is not None
    assert said.endswith(b"\r\n\r\n7")
