"""The monitor's health check: which services answer is its result; without Redis there is none."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from monitor.survey import Survey
from shared.bus import Bus
from shared.contracts import CleanupDue, HealthCheckDue, wrap
from shared.jobs import Handlers, JobReader, Registry
from shared.service import Service
from shared.settings import Secret, Settings
from tests.monitor.running import Running, running
from tests.until import until


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return Settings(redis_url=Secret(redis_url), buses="redis", log_level="error")


@asynccontextmanager
async def lab(settings: Settings) -> AsyncGenerator[None]:
    """A service with one handler."""
    handlers = Handlers("lab")

    @handlers.on(CleanupDue)
    async def cleanup(_: CleanupDue) -> None:
        return None

    service = Service("lab", handlers, settings)
    await service.start()
    try:
        yield
    finally:
        await service.stop()


async def checked(settings: Settings) -> dict[str, Any]:
    """Publish a tick of the health check, and return its result."""
    event = wrap(HealthCheckDue(schedule="health-check", tick=datetime.now(UTC)), source="/test")
    async with (
        Bus.open(settings) as bus,
        Redis.from_url(settings.redis_url.get_secret_value(), protocol=2) as redis,
    ):

        async def ended() -> Any:
            [job] = await JobReader(redis).get([f"monitor.check_health:{event.id}"])
            return job if job is not None and job.state in {"succeeded", "dead"} else None

        async def announced() -> bool:
            return "monitor.check_health" in await Registry(redis).handlers()

        await until(announced)
        await bus.publish([event])
        job = await until(ended)
    assert job.state == "succeeded"
    return job.to_api()["result"]


async def test_a_service_that_does_not_answer_is_a_finding(
    tmp_path: Path, settings: Settings, redis_url: str, monitor: Running
) -> None:
    door = f"http://127.0.0.1:{monitor.client.base_url.port}"  # whatever answers GET /readyz with 200
    async with running(tmp_path / "own", redis_url=redis_url, buses="redis", gateway_url=door):
        async with lab(settings):
            well = await checked(settings)
        ill = await checked(settings)

    assert well["ok"]
    assert well["services"].keys() == {"gateway", "lab", "monitor"}
    assert well["services"]["lab"]["workers"] == 1
    assert 0 < well["services"]["lab"]["lease_left_s"] <= 30
    assert not ill["ok"]
    assert {name: finding["ok"] for name, finding in ill["services"].items()} == {
        "gateway": True,
        "lab": False,
        "monitor": True,
    }
    assert "lease" in ill["services"]["lab"]["why"]


async def test_a_gateway_that_is_away_is_a_finding(redis_url: str) -> None:
    async with Redis.from_url(redis_url, protocol=2) as redis:
        health = await Survey(Registry(redis), gateway_url="http://127.0.0.1:1").health()

    assert not health["ok"]
    assert "GET /readyz" in (health["services"]["gateway"]["why"] or "")


async def test_the_monitor_starts_and_ends_without_redis(tmp_path: Path) -> None:
    async with running(tmp_path / "none") as unnamed:
        assert (await unnamed.get("/readyz")).status_code == 200
    async with running(tmp_path / "away", redis_url="redis://127.0.0.1:1", buses="redis") as away:
        assert (await away.get("/readyz")).status_code == 200
        assert "trunkline_build_info" in (await away.get("/metrics")).text
