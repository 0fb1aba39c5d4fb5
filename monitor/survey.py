"""Who answers: the registry of workers and the gateway's door in, a finding for each service out."""

import asyncio
import time
from collections import defaultdict
from datetime import timedelta
from typing import Final, TypedDict
from urllib.parse import urlsplit

from shared.jobs import Lease, Registry

ANSWER_LIMIT: Final = timedelta(seconds=3)
_GATEWAY: Final = "gateway"
_HTTP_PORT: Final = 80


class Finding(TypedDict):
    """What was found out about one service."""

    ok: bool
    workers: int
    """Processes whose lease stands; of the gateway, whose door is asked, 1 or 0."""
    lease_left_s: float | None
    """Of the worker that was silent for longest: when it would count as dead. None for the gateway's door."""
    took_ms: float
    """How long the answer took."""
    why: str | None
    """Why it is not ok."""


class Health(TypedDict):
    """How the system is: ok when each of its services is."""

    ok: bool
    services: dict[str, Finding]


class Survey:
    """Asks for every service that ever announced a handler, and for the gateway by its address."""

    def __init__(self, registry: Registry, *, gateway_url: str | None) -> None:
        self._registry = registry
        self._gateway_url = gateway_url

    async def health(self) -> Health:
        """One look at all; raises what Redis raises when it is away, for then nobody can tell."""
        findings, door = await asyncio.gather(self._workers(), self._door())
        if door is not None:
            at_work = findings.get(_GATEWAY)
            findings[_GATEWAY] = door if at_work is None or at_work["ok"] else at_work
        services = dict(sorted(findings.items()))
        return Health(ok=all(finding["ok"] for finding in services.values()), services=services)

    async def _workers(self) -> dict[str, Finding]:
        begin = time.perf_counter()
        handlers, leases = await asyncio.gather(self._registry.handlers(), self._registry.leases())
        took_ms = _ms_since(begin)
        alive: defaultdict[str, list[Lease]] = defaultdict(list)
        for lease in leases:
            alive[lease.worker.service].append(lease)
        expected = {handler.service for handler in handlers.values()} | alive.keys()
        return {service: _finding(alive[service], took_ms) for service in expected}

    async def _door(self) -> Finding | None:
        """What the gateway says of itself; None where nobody told us its address."""
        if self._gateway_url is None:
            return None
        begin = time.perf_counter()
        try:
            async with asyncio.timeout(ANSWER_LIMIT.total_seconds()):
                status = await _status_of(self._gateway_url, "/readyz")
        except (OSError, TimeoutError, ValueError) as error:
            status = repr(error)
        is_ready = status == "200"
        return Finding(
            ok=is_ready,
            workers=int(is_ready),
            lease_left_s=None,
            took_ms=_ms_since(begin),
            why=None if is_ready else f"GET /readyz: {status}",
        )


def _finding(leases: list[Lease], took_ms: float) -> Finding:
    left = min((lease.left for lease in leases), default=None)
    return Finding(
        ok=bool(leases),
        workers=len(leases),
        lease_left_s=round(left.total_seconds(), 1) if left is not None else None,
        took_ms=took_ms,
        why=None if leases else "no worker has renewed its lease",
    )


async def _status_of(url: str, path: str) -> str:
    """The status of a GET, by hand: one request in five minutes is worth no HTTP client."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port or _HTTP_PORT)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {address.netloc}\r\nConnection: close\r\n\r\n".encode())
        return (await reader.readline()).decode("latin-1").split(" ")[1]
    except IndexError:
        raise ValueError("no HTTP came back") from None
    finally:
        writer.close()


def _ms_since(begin: float) -> float:
    return round((time.perf_counter() - begin) * 1000, 1)
