"""POSTs parcels to a door, in a process of its own: how many are answered a second, or when jobs begin.

    python -m bench.http_load rate --port 8000 --connections 64 --seconds 3
    python -m bench.http_load starts --port 8000 --tally FOLDER --samples 100

All doors get the same bytes: a CloudEvent in binary mode with a key; a peer's door reads its body only.
"""

import argparse
import asyncio
import itertools
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast
from uuid import uuid4

import uvloop

from bench import tally
from bench.contenders.command import payload
from bench.result import percentile

_WARM_UP_S = 0.3
_START_S = 30.0  # the first time its worker may be just starting
_POLL_S = 0.001


class Connection(asyncio.Protocol):
    """One connection that sends a request once the one before is answered; `latencies` are in seconds."""

    def __init__(self, request: Callable[[], bytes]) -> None:
        self._request = request
        self._transport: asyncio.Transport | None = None
        self._answer = bytearray()
        self._sent_at = 0.0
        self._answered: asyncio.Future[None] | None = None
        self.latencies: list[float] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ready to send."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """An answer that is waited for will not come."""
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(exc or ConnectionResetError("the door closed the connection"))

    async def ask(self) -> None:
        """One request, until its answer is here; RuntimeError when that is no 2xx."""
        self._answered = asyncio.get_running_loop().create_future()
        self._answer.clear()
        if self._transport is None:
            raise ConnectionResetError("not connected")
        self._sent_at = time.perf_counter()
        self._transport.write(self._request())
        await self._answered

    def data_received(self, data: bytes) -> None:
        """Part of an answer, mostly all of it."""
        self._answer += data
        end = self._answer.find(b"\r\n\r\n") + 4
        if end < 4 or len(self._answer) < end + _length(self._answer[:end]):  # noqa: PLR2004 - not found
            return
        waiting = self._answered
        if waiting is None or waiting.done():
            return
        if self._answer[9] != ord("2"):  # HTTP/1.1 2xx
            waiting.set_exception(RuntimeError(f"answered {bytes(self._answer[:200])!r}"))
            return
        self.latencies.append(time.perf_counter() - self._sent_at)
        waiting.set_result(None)

    def close(self) -> None:
        """End it."""
        if self._transport is not None:
            self._transport.close()


async def rate(port: int, key: str, *, connections: int, seconds: float) -> dict[str, float]:
    """Over many connections at once, each answered before its next request."""
    loop = asyncio.get_running_loop()
    request = requests(port, key)
    opened = [
        (await loop.create_connection(lambda: Connection(request), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    await _for_so_long(opened, _WARM_UP_S)
    warm_up = sum(len(connection.latencies) for connection in opened)
    for connection in opened:
        connection.latencies.clear()
    began = time.perf_counter()
    await _for_so_long(opened, seconds)
    took_s = time.perf_counter() - began
    latencies = [latency for connection in opened for latency in connection.latencies]
    for connection in opened:
        connection.close()
    return {
        "answered": warm_up + len(latencies),
        "per_s": len(latencies) / took_s,
        "p50_ms": percentile(latencies, 0.5) * 1e3,
        "p99_ms": percentile(latencies, 0.99) * 1e3,
    }


async def starts(port: int, key: str, folder: Path, *, samples: int, gap_s: float) -> dict[str, float]:
    """One request at a time to a system at rest: from before it is sent to the start of its job's handler."""
    _, connection = await asyncio.get_running_loop().create_connection(
        lambda: Connection(requests(port, key)), "127.0.0.1", port
    )
    found: list[float] = []
    for _ in range(samples + samples // 10):
        known, sent_ns = tally.read(folder).jobs, time.time_ns()
        await connection.ask()
        async with asyncio.timeout(_START_S):
            while (count := tally.read(folder)).jobs <= known:  # noqa: ASYNC110 - another process counts
                await asyncio.sleep(_POLL_S)
        found.append((count.last_ns - sent_ns) / 1e6)
        await asyncio.sleep(gap_s)
    connection.close()
    warm = found[samples // 10 :]
    return {"p50_ms": percentile(warm, 0.5), "p99_ms": percentile(warm, 0.99)}


def requests(port: int, key: str) -> Callable[[], bytes]:
    """Makes requests with other ids and other numbers, all of one length."""
    numbers = itertools.count()
    head = (
        f"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {key}\r\n"
        "Content-Type: application/json\r\n"
        "ce-specversion: 1.0\r\nce-source: /bench\r\nce-type: bench.parcel\r\n"
    )

    def request() -> bytes:
        parcel_id, sku, note = payload(next(numbers))
        body = f'{{"parcel_id":"{parcel_id}","sku":"{sku}","note":"{note}"}}'
        return f"{head}ce-id: {uuid4()}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()

    return request


async def _for_so_long(connections: list[Connection], seconds: float) -> None:
    until = time.perf_counter() + seconds

    async def keep_asking(connection: Connection) -> None:
        while time.perf_counter() < until:
            await connection.ask()

    await asyncio.gather(*(keep_asking(connection) for connection in connections))


def _length(head: bytearray) -> int:
    lower = head.lower()
    at = lower.find(b"content-length:")
    if at < 0:
        raise RuntimeError(f"no Content-Length in {bytes(head)!r}")
    return int(lower[at + len(b"content-length:") : lower.index(b"\r\n", at)])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.http_load", description=__doc__)
    parser.add_argument("what", choices=["rate", "starts"])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--key", default="none")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--tally", type=Path, help="the folder of the worker's tally")
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--gap-ms", type=float, default=20.0)
    return parser


async def _main(chosen: argparse.Namespace) -> dict[str, float]:
    if chosen.what == "rate":
        return await rate(chosen.port, chosen.key, connections=chosen.connections, seconds=chosen.seconds)
    return await starts(
        chosen.port, chosen.key, chosen.tally, samples=chosen.samples, gap_s=chosen.gap_ms / 1e3
    )


if __name__ == "__main__":
    sys.stdout.write(f"{json.dumps(uvloop.run(_main(_parser().parse_args())))}\n")
