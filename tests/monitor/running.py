"""Monitors to test against: in this process, or as a process of its own that a test may kill."""

import asyncio
import contextlib
import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from monitor.app import Monitor
from monitor.settings import Settings

WAIT_S = 30.0
NO_CERTIFICATES = ssl.SSLContext(
    ssl.PROTOCOL_TLS_CLIENT
)  # all is http; httpx would read the machine's, 60 ms


@dataclass(frozen=True)
class Running:
    """A monitor that takes requests, and a client for its pages and queries."""

    client: httpx.AsyncClient
    otlp_url: str

    async def get(self, path: str, **params: str | int) -> httpx.Response:
        return await self.client.get(path, params=params or None)

    async def post(self, body: bytes, **headers: str) -> httpx.Response:
        """Send a body to the collector; `content_encoding="gzip"` becomes a header."""
        given = {"content_type": "application/x-protobuf"} | headers
        return await self.client.post(
            self.otlp_url,
            content=body,
            headers={name.replace("_", "-"): value for name, value in given.items()},
        )


class Sender:
    """A service as our users have it: the OpenTelemetry SDK with its own OTLP/HTTP exporter."""

    def __init__(self, service: str, monitor: Running, *, compression: Compression | None = None) -> None:
        self._provider = TracerProvider(resource=Resource.create({"service.name": service}))
        self._provider.add_span_processor(
            BatchSpanProcessor(OTLPSpanExporter(endpoint=monitor.otlp_url, compression=compression))
        )
        self.tracer = self._provider.get_tracer("tests")

    async def flush(self) -> None:
        """Return when the monitor has answered."""
        await asyncio.to_thread(self._provider.shutdown)


@contextlib.asynccontextmanager
async def running(folder: Path, **settings: object) -> AsyncGenerator[Running]:
    """A monitor in this process, on free ports."""
    monitor = Monitor(Settings.model_validate({"port": 0, "otlp_port": 0, "monitor_data": folder} | settings))
    await monitor.open()
    serving = asyncio.create_task(monitor.run())
    try:
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{monitor.port}", verify=NO_CERTIFICATES
        ) as client:
            await until(lambda: _is_ready(client))
            yield Running(client, f"http://127.0.0.1:{monitor.otlp_port}/v1/traces")
    finally:
        monitor.stop()
        async with asyncio.timeout(WAIT_S):
            await serving


@contextlib.contextmanager
def process(folder: Path, port: int, otlp_port: int) -> Generator[subprocess.Popen[bytes]]:
    """`python -m monitor`, ready; killed at the end if it still runs."""
    environment = os.environ | {
        "PORT": str(port),
        "OTLP_PORT": str(otlp_port),
        "MONITOR_DATA": str(folder),
        "LOG_FORMAT": "json",
    }
    with subprocess.Popen(
        [sys.executable, "-m", "monitor"], env=environment, stdout=subprocess.DEVNULL
    ) as started:
        try:
            deadline = time.monotonic() + WAIT_S
            while not _answers(port):
                assert started.poll() is None, "the monitor ended"
                assert time.monotonic() < deadline, "the monitor is not ready"
                with contextlib.suppress(subprocess.TimeoutExpired):
                    started.wait(0.05)
            yield started
        finally:
            started.kill()


def start_and_fail(environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """`python -m monitor` with settings that it must refuse."""
    command = [sys.executable, "-m", "monitor"]
    return subprocess.run(
        command,
        env=os.environ | dict(environment),
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Return when it holds; TimeoutError when it does not within WAIT_S."""
    async with asyncio.timeout(WAIT_S):
        while not await holds():  # noqa: ASYNC110 -- what is waited for tells nobody
            await asyncio.sleep(0.01)


async def _is_ready(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/readyz")).status_code == 200
    except httpx.TransportError:
        return False


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
    except httpx.TransportError:
        return False
