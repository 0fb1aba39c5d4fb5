"""The three pages of a service without HTTP of its own, over a socket."""

import asyncio
import signal
import socket
from datetime import timedelta
from typing import TYPE_CHECKING

import httpx
import pytest

from shared.health import HealthServer, NotReady, readiness
from shared.telemetry import Metrics

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping


async def passes() -> None:
    """All is well."""


async def refuses() -> None:
    raise NotReady("outbox holds 900 events, 500 allowed")


async def fails() -> None:
    raise ConnectionRefusedError("postgres://trunkline:hunter2@db:5432")


async def hangs() -> None:
    await asyncio.Event().wait()


def server_of(checks: "Mapping[str, Callable[[], Awaitable[None]]]", port: int | None = 0) -> HealthServer:
    return HealthServer(port, checks, Metrics(service="email", version="1"))


async def test_readiness_names_each_check_and_shows_no_words_of_libraries() -> None:
    answer = await readiness(
        {"broker": passes, "outbox": refuses, "database": fails, "relay": hangs},
        limit=timedelta(seconds=0.05),
    )

    assert (answer.is_ready, answer.status) == (False, 503)
    assert answer.body == {
        "status": "not ready",
        "checks": {
            "broker": "ok",
            "outbox": "outbox holds 900 events, 500 allowed",
            "database": "ConnectionRefusedError",
            "relay": "no answer within 0.05 s",
        },
    }


async def test_a_service_whose_checks_pass_is_ready_and_so_is_one_without_any() -> None:
    answer = await readiness({"broker": passes})

    assert (answer.status, answer.body) == (200, {"status": "ready", "checks": {"broker": "ok"}})
    assert (await readiness({})).is_ready


async def test_checks_run_at_once_so_that_slow_ones_do_not_add_up() -> None:
    async with asyncio.timeout(1):
        answer = await readiness(dict.fromkeys("abcdefghij", hangs), limit=timedelta(seconds=0.2))

    assert set(answer.checks.values()) == {"no answer within 0.2 s"}


async def test_a_service_that_is_not_ready_is_still_alive_and_measured() -> None:
    server = server_of({"broker": fails})
    await server.start()

    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as client:
        live, ready, metrics = [await client.get(path) for path in ("/livez", "/readyz", "/metrics")]
        nothing, posted = await client.get("/"), await client.post("/livez")
        head = await client.head("/readyz")
    await server.stop()

    assert (live.status_code, live.text) == (200, "ok\n")
    assert (ready.status_code, ready.json()["checks"]) == (503, {"broker": "ConnectionRefusedError"})
    assert (metrics.status_code, 'trunkline_build_info{service="email"' in metrics.text) == (200, True)
    assert metrics.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert (nothing.status_code, posted.status_code, posted.headers["allow"]) == (404, 405, "GET, HEAD")
    assert (head.status_code, head.content) == (503, b"")


async def test_after_the_stop_nobody_listens_and_a_second_stop_is_harmless() -> None:
    server = server_of({})
    await server.start()

    await server.stop()
    await server.stop()

    with pytest.raises(httpx.ConnectError):
        async with httpx.AsyncClient() as client:
            await client.get(f"http://127.0.0.1:{server.port}/livez")


async def test_without_a_port_nothing_is_served() -> None:
    server = server_of({}, port=None)

    await server.start()
    await server.stop()

    assert server.port is None


async def test_a_port_in_use_is_an_error_of_start_and_not_the_end_of_the_process() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = server_of({}, port=taken.getsockname()[1])

        with pytest.raises(OSError, match="in use"):
            await server.start()
    await server.stop()


async def test_the_signals_stay_with_the_service() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    server = server_of({})

    await server.start()
    during = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    await server.stop()

    assert during == before
