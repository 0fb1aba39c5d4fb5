"""`python -m bench.ours.trace_sink PORT`: takes OTLP over HTTP as a collector does; GET / counts the spans.

Bodies are kept as they came and read only when somebody asks: the collector is not what is measured.
"""

import asyncio
import sys

import uvloop
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_HEAD_LIMIT = 64 * 1024


class TraceSink:
    """What was sent here."""

    def __init__(self) -> None:
        self._bodies: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, which may bring many requests."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                answer = b""
                if head.startswith(b"POST"):
                    self._bodies.append(await reader.readexactly(_length(head)))
                else:
                    answer = str(self._spans()).encode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(answer), answer))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def _spans(self) -> int:
        """How many came so far."""
        return sum(
            len(scope.spans)
            for body in self._bodies
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
        )


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


async def _main(port: int) -> None:
    server = await asyncio.start_server(TraceSink().serve, "127.0.0.1", port, limit=_HEAD_LIMIT)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_main(int(sys.argv[1])))
