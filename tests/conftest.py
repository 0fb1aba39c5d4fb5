"""Real servers, started once a run on free ports; each test finds them empty.

They come from the wheels, or with TRUNKLINE_TEST_BROKERS=containers from the images of compose.yaml.
"""

import asyncio
import threading
from collections.abc import Coroutine, Generator, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import asyncpg
import nats
import pytest
import structlog
from nats.js.errors import NotFoundError
from redis.asyncio import Redis
from xdist.scheduler.loadfile import LoadFileScheduling

from launcher.servers import NatsServer, PostgresServer, RedisServer
from launcher.services import SERVICES
from shared.db import DatabaseUrl, migrate
from tests.servers import AnyServer, in_containers

T = TypeVar("T")

HISTORIES = {
    service.name: folder / "migrations"
    for service in SERVICES
    if (folder := service.folder()) is not None and (folder / "migrations").is_dir()
}
TEMPLATE = "trunkline_template"


_ONE_SYSTEM = {f"tests/e2e/test_{name}.py" for name in ("main_job", "groups", "warehouse", "whole_story")}
"""Files that share the system of a session: in one process it is started once."""
_BROWSER = "tests/monitor/browser"
"""A folder whose tests share a system and a browser."""


class _ByFile(LoadFileScheduling):
    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        if file.startswith(_BROWSER):
            return _BROWSER
        return "tests/e2e" if file in _ONE_SYSTEM else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _ByFile:
    """A file's tests run in one process, and so do those of the files that share a system."""
    return _ByFile(config, log)


class Background:
    """An event loop in a thread of its own: what servers need beyond the loop of one test."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        future: Future[T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result(timeout=60)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)


@pytest.fixture(autouse=True)
def logging_of_one_test(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What one test configures is gone in the next: no logger keeps its first configuration here."""
    configure: Any = structlog.configure

    def without_cache(**options: Any) -> None:
        configure(**{**options, "cache_logger_on_first_use": False})

    monkeypatch.setattr(structlog, "configure", without_cache)
    yield
    structlog.reset_defaults()


@dataclass(frozen=True)
class Servers:
    redis: AnyServer
    nats: AnyServer
    postgres: AnyServer
    background: Background


@pytest.fixture(scope="session")
def background() -> Iterator[Background]:
    background = Background()
    yield background
    background.close()


@pytest.fixture(scope="session")
def servers(background: Background, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder = tmp_path_factory.mktemp("servers")
    started = Servers(*(_containers() if in_containers() else _wheels(folder)), background)

    async def start() -> None:
        await asyncio.gather(started.redis.start(), started.nats.start(), started.postgres.start())

    async def stop() -> None:
        await asyncio.gather(started.redis.delete(), started.nats.delete(), started.postgres.delete())

    background.run(start())
    yield started
    background.run(stop())


def _containers() -> tuple[AnyServer, AnyServer, AnyServer]:
    # Imported late: a run on the wheels needs no client of Docker.
    from tests.containers import NatsContainer, PostgresContainer, RedisContainer  # noqa: PLC0415

    return RedisContainer(), NatsContainer(), PostgresContainer()


def _wheels(folder: Path) -> tuple[AnyServer, AnyServer, AnyServer]:
    return (
        RedisServer(folder / "redis", durable=False),
        NatsServer(folder / "nats", durable=False),
        PostgresServer(folder / "postgres", durable=False),
    )


@pytest.fixture
def redis_url(servers: Servers) -> str:
    """An empty Redis."""

    async def empty() -> None:
        async with Redis.from_url(servers.redis.url) as redis:
            await redis.flushall()

    servers.background.run(empty())
    return servers.redis.url


@pytest.fixture
def nats_url(servers: Servers) -> str:
    """A NATS server without streams."""

    async def empty() -> None:
        connection = await nats.connect(servers.nats.url)
        try:
            await connection.jetstream().delete_stream("EVENTS")
        except NotFoundError:
            pass
        finally:
            await connection.close()

    servers.background.run(empty())
    return servers.nats.url


@pytest.fixture(scope="session")
def migrated(servers: Servers) -> str:
    """The name of a migrated database that others are copied from."""

    async def make() -> None:
        connection = await asyncpg.connect(servers.postgres.url)
        await connection.execute(f"CREATE DATABASE {TEMPLATE}")
        await connection.close()
        await migrate(DatabaseUrl(_named(servers.postgres.url, TEMPLATE)), HISTORIES)

    servers.background.run(make())
    return TEMPLATE


@pytest.fixture
def database_url(servers: Servers, migrated: str) -> Iterator[str]:
    """A migrated database of the test's own."""
    with own_database(servers, migrated) as url:
        yield url


@contextmanager
def own_database(servers: Servers, migrated: str) -> Generator[str]:
    """A migrated database that is dropped afterwards."""
    name = f"test_{uuid4().hex}"

    async def run(statement: str) -> None:
        connection = await asyncpg.connect(servers.postgres.url)
        await connection.execute(statement)
        await connection.close()

    servers.background.run(run(f"CREATE DATABASE {name} TEMPLATE {migrated} STRATEGY file_copy"))
    yield _named(servers.postgres.url, name)
    servers.background.run(run(f"DROP DATABASE {name} WITH (FORCE)"))


def _named(url: str, database: str) -> str:
    return f"{url.rpartition('/')[0]}/{database}"
