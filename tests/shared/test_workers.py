"""Several processes of one service: `faststream run app --workers N`."""

import asyncio
import os
import signal
import socket
import sys
from typing import Any

import pytest
from httpx import AsyncClient, HTTPError
from redis.asyncio import Redis

from launcher.ports import free_port, is_free
from shared.errors import SettingsError
from shared.jobs import Handlers, Registry
from shared.service import Service
from shared.settings import Secret, Settings
from tests.until import until


def two_free_ports() -> int:
    """The first of two neighbours."""
    port = free_port()
    while not is_free(port + 1):
        port = free_port()
    return port


async def test_each_of_several_processes_takes_jobs_and_has_a_port_of_its_own(redis_url: str) -> None:
    first = two_free_ports()
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": ":".join(sys.path), "REDIS_URL": redis_url}
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "faststream", "run", "tests.shared.counting_app:app", "--workers", "2"),
        env={**environment, "BUSES": "redis", "METRICS_PORT": str(first)},
    )
    try:
        async with AsyncClient(timeout=5) as client, Redis.from_url(redis_url) as redis:

            async def both_are_ready() -> bool:
                return all([await is_ready(client, port) for port in (first, first + 1)])

            async def both_are_registered() -> bool:
                return len({worker.pid for worker in await Registry(redis).workers()}) == 2

            await until(both_are_ready, within=60)
            await until(both_are_registered)
    finally:
        running.send_signal(signal.SIGTERM)
        code = await asyncio.wait_for(running.wait(), timeout=60)

    assert code == 0


async def test_a_port_that_is_taken_is_named_by_its_setting(redis_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        settings = Settings(redis_url=Secret(redis_url), buses="redis", metrics_port=port)
        service = Service("lab", Handlers("lab"), settings)

        with pytest.raises(SettingsError, match=f"METRICS_PORT: .*{port}"):
            await service.start()
        await service.stop()


async def is_ready(client: AsyncClient, port: int) -> Any:
    try:
        return (await client.get(f"http://127.0.0.1:{port}/readyz")).status_code == 200
    except HTTPError:
        return False
