"""Schedulers on real servers: as a task of the test, or as processes that it may kill."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from scheduler.app import Scheduler
from scheduler.settings import SchedulerSettings
from shared.db import connect
from shared.schedules import Definition, book
from shared.settings import Secret

Query = Callable[..., Awaitable[list[asyncpg.Record]]]
Enter = Callable[..., Awaitable[None]]


@pytest.fixture
def no_seeds(tmp_path: Path) -> Path:
    path = tmp_path / "schedules.toml"
    path.write_text("")
    return path


@pytest.fixture
def settings(redis_url: str, database_url: str, no_seeds: Path) -> SchedulerSettings:
    return SchedulerSettings(
        redis_url=Secret(redis_url),
        database_url=Secret(database_url),
        buses="redis",
        schedules_file=no_seeds,
        schedules_poll=timedelta(milliseconds=200),
        log_level="warning",
        grace=timedelta(seconds=5),
    )


@asynccontextmanager
async def running(settings: SchedulerSettings) -> AsyncGenerator[None]:
    """One scheduler in this process, drained at the end."""
    scheduler = Scheduler(settings)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(scheduler.run())
        try:
            yield
        finally:
            scheduler.stop()


@pytest.fixture
async def query(database_url: str) -> AsyncIterator[Query]:
    """Statements past everything."""
    connection = await asyncpg.connect(database_url)

    async def run(statement: str, *values: object) -> list[asyncpg.Record]:
        return await connection.fetch(statement, *values)

    yield run
    await connection.close()


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = connect(Secret(database_url), service="scheduler")
    yield engine
    await engine.dispose()


@pytest.fixture
def enter(engine: AsyncEngine, query: Query) -> Enter:
    """Enter a schedule of cron.health_check, the `missed` last ticks of which nobody was there to decide."""

    async def run(name: str = "often", *, missed: timedelta | None = None, **fields: Any) -> None:
        fields = {"every": "1h", "type": "cron.health_check"} | fields
        async with engine.begin() as connection:
            await book.add(connection, Definition.model_validate({"name": name, **fields}))
        if missed is not None:
            await query(
                "UPDATE scheduler.schedules SET next_at = next_at - $2::interval,"
                " fires_at = fires_at - $2::interval WHERE name = $1",
                name,
                missed,
            )

    return run


async def published(redis_url: str, type_: str = "cron.health_check") -> list[str]:
    """The ids of the events on Redis, in order."""
    async with Redis.from_url(redis_url) as redis:
        entries: Any = await redis.xrange(f"events:{type_}")
        return [fields[b"ce-id"].decode() for _, fields in entries]
