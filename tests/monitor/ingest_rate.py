"""How many spans a second a running monitor commits: `python -m tests.monitor.ingest_rate [batches]`.

One client, one request at a time, 512 spans of 6 attributes each, eight spans a trace, two services.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.monitor.running import free_port, process

_SPANS = 512
_TRACE_SPANS = 8


def body(batch: int) -> bytes:
    """One request in protobuf; every id in it is new."""
    request = ExportTraceServiceRequest()
    now_ns = time.time_ns()
    for service in ("gateway", "email"):
        resource_spans = request.resource_spans.add()
        name = resource_spans.resource.attributes.add(key="service.name")
        name.value.string_value = service
        scope_spans = resource_spans.scope_spans.add()
        for number in range(_SPANS // 2):
            span = scope_spans.spans.add(
                trace_id=b"%08d%08d" % (batch, number // (_TRACE_SPANS // 2)),
                span_id=os.urandom(8),
                name=f"process order.{number % 20}",
                kind=5,
                start_time_unix_nano=now_ns,
                end_time_unix_nano=now_ns + 1_000_000,
            )
            for key, text in (("messaging.system", "redis"), ("messaging.destination.name", "events:order")):
                span.attributes.add(key=key).value.string_value = text
            for key in ("messaging.message.id", "trunkline.job.id"):
                span.attributes.add(key=key).value.string_value = f"0192-{batch}-{number}"
            span.attributes.add(key="trunkline.job.attempt").value.int_value = 1
            span.attributes.add(key="http.response.status_code").value.int_value = 202
    return request.SerializeToString()


def main(batches: int) -> None:
    """Start a monitor, send it the batches and say how long it took."""
    bodies = [body(number) for number in range(batches)]
    otlp_port = free_port()
    with tempfile.TemporaryDirectory() as folder, process(Path(folder), free_port(), otlp_port) as monitor:
        before_s = _cpu_s(monitor.pid)
        took_s = _send(f"http://127.0.0.1:{otlp_port}/v1/traces", bodies)
        cpu_s = _cpu_s(monitor.pid) - before_s
        rss_kb = Path(f"/proc/{monitor.pid}/status").read_text().partition("VmRSS:")[2].split()[0]
        monitor.terminate()
        monitor.wait()
        size = (Path(folder) / "traces.sqlite").stat().st_size
    spans = batches * _SPANS
    rate = f"{spans} spans in {took_s:.2f} s: {spans / took_s:.0f} spans/s, {spans / cpu_s:.0f} a CPU second"
    sys.stdout.write(f"{rate}, {size / spans:.0f} B/span on disk, {int(rss_kb) // 1024} MB RSS\n")


def _cpu_s(pid: int) -> float:
    """Seconds of CPU that the process has used: what a busy machine does not change."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _send(url: str, bodies: list[bytes]) -> float:
    headers = {"Content-Type": "application/x-protobuf"}
    with httpx.Client() as client:
        began = time.perf_counter()
        for content in bodies:
            client.post(url, content=content, headers=headers).raise_for_status()
        return time.perf_counter() - began


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 120)
