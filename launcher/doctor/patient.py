"""The system under examination: addresses in; connections, and a finding for who does not answer, out."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import asyncpg
import httpx
import nats
from redis.asyncio import Redis

from launcher.doctor.findings import Finding, fault, ok, warning

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from pathlib import Path

    from nats.aio.client import Client
    from nats.js import JetStreamContext

    from launcher.doctor.addresses import Addresses

LIMIT_S = 3.0
_STANDS_STILL = {
    "redis": "No job starts or ends; accepted events wait in Postgres.",
    "nats": "Events that are routed to it wait in Postgres.",
    "postgres": "Nothing is accepted, and no handler that writes to it succeeds.",
    "gateway": "Nobody can send or ask for anything over HTTP.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Nats:
    """A connection, and what the server refused on it: it tells so apart from the request."""

    client: Client
    jetstream: JetStreamContext
    refused: list[str] = field(default_factory=list[str])


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """What examinations ask. A server is None when it does not answer or nobody knows where it is."""

    redis: Any = None
    nats: Nats | None = None
    nats_monitor: httpx.AsyncClient | None = None
    postgres: asyncpg.Connection[asyncpg.Record] | None = None
    gateway: httpx.AsyncClient | None = None
    data: Path | None = None
    buses: frozenset[str] | None = None
    now: Callable[[], float] = time.time


@asynccontextmanager
async def visited(addresses: Addresses) -> AsyncGenerator[tuple[Patient, list[Finding]]]:
    """Connections to all that answer; who does not is a fault, who is nowhere named a warning."""
    findings: list[Finding] = []
    async with AsyncExitStack() as stack:

        async def reach(
            about: str, url: str | None, setting: str, open_: Callable[[str], Awaitable[Any]]
        ) -> Any:
            if url is None:
                if about != "nats" or addresses.buses is None or about in addresses.buses:
                    findings.append(_unnamed(about, setting))
                return None
            try:
                async with asyncio.timeout(LIMIT_S):
                    opened = await open_(url)
            except Exception as error:  # noqa: BLE001 - whatever a client raises, the finding is the same
                findings.append(_away(about, setting, error))
                return None
            findings.append(ok(about, "answers"))
            return opened

        yield (
            Patient(
                redis=await reach("redis", addresses.redis, "REDIS_URL", lambda url: _redis(url, stack)),
                nats=await reach("nats", addresses.nats, "NATS_URL", lambda url: _nats(url, stack)),
                nats_monitor=await _http(monitor, stack) if (monitor := addresses.nats_monitor) else None,
                postgres=await reach(
                    "postgres", addresses.postgres, "DATABASE_URL", lambda url: _postgres(url, stack)
                ),
                gateway=await reach(
                    "gateway", addresses.gateway, "GATEWAY_URL", lambda url: _gateway(url, stack)
                ),
                data=addresses.data,
                buses=addresses.buses,
            ),
            findings,
        )


async def _redis(url: str, stack: AsyncExitStack) -> Any:
    client: Any = Redis.from_url(url, protocol=2, socket_timeout=LIMIT_S, socket_connect_timeout=LIMIT_S)
    stack.push_async_callback(client.aclose)
    await client.ping()
    return client


async def _nats(url: str, stack: AsyncExitStack) -> Nats:
    refused: list[str] = []

    async def note(error: Exception) -> None:
        refused.append(str(error))

    client = await nats.connect(
        url,
        name="trunkline doctor",
        connect_timeout=2,
        allow_reconnect=False,
        max_reconnect_attempts=1,
        reconnect_time_wait=0.1,
        error_cb=note,
    )
    stack.push_async_callback(client.close)
    return Nats(client=client, jetstream=client.jetstream(timeout=LIMIT_S), refused=refused)


async def _postgres(url: str, stack: AsyncExitStack) -> asyncpg.Connection[asyncpg.Record]:
    connection = await asyncpg.connect(url, timeout=LIMIT_S, command_timeout=LIMIT_S)

    async def close() -> None:
        with suppress(asyncpg.PostgresError, OSError, TimeoutError):
            await connection.close(timeout=LIMIT_S)

    stack.push_async_callback(close)
    return connection


async def _gateway(url: str, stack: AsyncExitStack) -> httpx.AsyncClient:
    client = await _http(url, stack)
    await client.get("/livez")
    return client


async def _http(url: str, stack: AsyncExitStack) -> httpx.AsyncClient:
    """No proxy of the environment: what is asked is a neighbour."""
    return await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=LIMIT_S, trust_env=False))


def _unnamed(about: str, setting: str) -> Finding:
    return warning(
        about,
        f"not examined: {setting} is not set",
        why="Nobody can tell how it is.",
        do=f"Set {setting}, or give the --data of a system that runs.",
    )


def _away(about: str, setting: str, error: Exception) -> Finding:
    said = str(error).strip() or type(error).__name__
    return fault(
        about, f"does not answer: {said}", why=_STANDS_STILL[about], do=f"Start it, or correct {setting}."
    )
