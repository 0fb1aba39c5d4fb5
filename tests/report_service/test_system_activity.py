"""System activity: the gateway's jobs, as it shows them to others."""

import json
from collections.abc import AsyncGenerator
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncEngine

from report_service.making import Workshop
from report_service.reading import NotThere
from report_service.settings import ReportSettings
from shared.objects import Objects
from shared.settings import Secret
from tests.report_service.conftest import Making

_JOB = """
    INSERT INTO gateway.jobs (id, handler, service, event_type, state, attempt, max_attempts,
                              queued_at, started_at, finished_at, position)
    SELECT $1 || ':' || n, $1, 'email', 'email.requested', $2, $3, 5,
           '2026-11-02 10:00Z', '2026-11-02 10:01Z', '2026-11-02 10:01Z'::timestamptz + n * interval '1 s', n
    FROM generate_series($4::int, $5::int) n
"""


@pytest.fixture
async def admin(database_url: str) -> AsyncGenerator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
def figures(engine: AsyncEngine, tmp_path: Path) -> Making:
    settings = ReportSettings(files_url=Secret(tmp_path.as_uri()))
    return Making(Workshop(engine, Objects(settings.files_url), settings))


async def test_each_handler_has_its_jobs_and_their_times(admin: asyncpg.Connection, figures: Making) -> None:
    await admin.execute(_JOB, "email.send", "succeeded", 1, 1, 3)
    await admin.execute(_JOB, "email.send", "dead", 5, 4, 4)
    await admin.execute(_JOB, "email.send_welcome", "cancelled", 1, 5, 5)
    await admin.execute(_JOB, "email.send_welcome", "running", 2, 6, 6)

    report = json.loads(await figures("system_activity", "json"))

    [table] = report["tables"]
    first, second = table["rows"]
    assert first == {
        "handler": "email.send",
        "jobs": 4,
        "succeeded": 3,
        "dead": 1,
        "stopped": 0,
        "open": 0,
        "retried": 1,
        "mean_seconds": 2.0,
        "p95_seconds": pytest.approx(2.9),
    }
    assert (second["stopped"], second["open"], second["mean_seconds"]) == (1, 1, None)
    assert table["total"] == {"jobs": 6, "succeeded": 3, "dead": 1, "stopped": 1, "open": 1, "retried": 2}


async def test_what_jobs_carry_stays_closed(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        with pytest.raises(ProgrammingError, match="permission denied for table jobs"):
            await connection.execute(text("SELECT * FROM gateway.jobs"))


async def test_figures_that_are_not_there_are_a_reason(admin: asyncpg.Connection, figures: Making) -> None:
    await admin.execute("DROP VIEW gateway.job_runs")

    with pytest.raises(
        NotThere, match=r'relation "gateway.job_runs" does not exist; run `trunkline migrate`'
    ):
        await figures("system_activity", "csv")
