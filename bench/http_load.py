"""Requests over many connections at once, each answered before the next: how many were answered out."""

import asyncio
import time
from collections.abc import Callable


async def load(
    port: int, request: Callable[[], bytes], *, connections: int, seconds: float, status: bytes
) -> int:
    """Send for so long; RuntimeError on the first answer of another status."""
    until = time.monotonic() + seconds
    counts = await asyncio.gather(*(_one(port, request, until, status) for _ in range(connections)))
    return sum(counts)


async def _one(port: int, request: Callable[[], bytes], until: float, status: bytes) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answered = 0
    try:
        while time.monotonic() < until:
            writer.write(request())
            head = await reader.readuntil(b"\r\n\r\n")
            if status not in head[:16]:
                raise RuntimeError(f"answered {head.splitlines()[0].decode()}")
            await reader.readexactly(_length(head))
            answered += 1
    finally:
        writer.close()
    return answered


def _length(head: bytes) -> int:
    lower = head.lower()
    at = lower.index(b"content-length:") + len(b"content-length:")
    return int(lower[at : lower.index(b"\r\n", at)])
