"""The service as it runs: a question on the bus, a report made in a child process, events back."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from report_service.cleanup import Shelf
from report_service.handlers import handlers
from report_service.read_model import ReadModel
from report_service.settings import ReportSettings
from shared.bus import Bus
from shared.bus.redis_streams import connect as connect_redis
from shared.contracts import wrap
from shared.db import connect
from shared.jobs import JobReader, JobRecord
from shared.objects import Objects
from shared.service import Service
from shared.settings import Secret
from shared.telemetry import Metrics, Tracing
from shared.testing import settle
from tests.report_service.conftest import MUG, asked, at, order


@pytest.fixture
def settings(
    redis_url: str, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> ReportSettings:
    monkeypatch.setenv("DATABASE_URL", database_url)  # a child process reads its own settings
    monkeypatch.setenv("FILES_URL", tmp_path.as_uri())
    return ReportSettings(redis_url=Secret(redis_url), buses="redis", log_level="error")


@asynccontextmanager
async def running(settings: ReportSettings) -> AsyncGenerator[Bus]:
    """The service at work, and a bus to reach it by."""
    engine = connect(settings.database_url, service="report")
    shelf = Shelf(Objects(settings.files_url), keep=settings.report_ttl)

    @asynccontextmanager
    async def resources(_: Tracing) -> AsyncGenerator[tuple[object, ...]]:
        yield (ReadModel(engine), shelf, settings)

    service = Service("report", handlers, settings, resources=resources)
    await service.start()
    try:
        async with Bus.open(
            settings, tracing=Tracing(), metrics=Metrics(service="test", version="0"), name="test"
        ) as bus:
            yield bus
    finally:
        await service.stop()
        await engine.dispose()


async def job_of(settings: ReportSettings, job_id: str) -> JobRecord:
    redis = connect_redis(settings.redis_url)
    try:
        [job] = await JobReader(redis).get([job_id])
    finally:
        await redis.aclose()
    assert job is not None
    return job


async def test_a_report_about_what_just_happened_is_made_in_a_child_process(settings: ReportSettings) -> None:
    ordered = wrap(order("o-1", "u1", (MUG, 1, 1299)), source="/test", now=at(2, 10))
    question = wrap(asked("customer_statement", "pdf", email_to="ada@example.com"), source="/test")

    async with running(settings) as bus:
        await bus.publish([ordered])
        await settle(settings)
        await bus.publish([question])
        await settle(settings)
        job = await job_of(settings, f"report.generate:{question.id}")

    assert job.state == "succeeded", job.error
    assert [caused["type"] for caused in job.caused] == ["report.ready", "email.requested"]
    pdf = await Objects(settings.files_url).read_all("reports/r-customer_statement.pdf", limit_bytes=10**6)
    assert pdf.startswith(b"%PDF-")
