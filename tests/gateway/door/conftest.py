"""The door on real servers: the application over a real socket, and as a process of its own."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import asyncpg
import pytest
import uvicorn
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.app import create_app
from gateway.door.keys import ApiKeys
from gateway.settings import GatewaySettings
from shared.bus.redis_streams import RedisClient
from shared.bus.redis_streams import connect as connect_redis
from shared.db import connect
from shared.settings import Secret
from tests.until import until

KEYS = "all-of-it=admin,only-read=read,only-publish=publish"
ADMIN = {"Authorization": "Bearer all-of-it"}

Query = Callable[..., Awaitable[list[asyncpg.Record]]]


@pytest.fixture
def settings(redis_url: str, nats_url: str, database_url: str) -> GatewaySettings:
    return GatewaySettings(
        redis_url=Secret(redis_url),
        nats_url=Secret(nats_url),
        database_url=Secret(database_url),
        api_keys=ApiKeys.parse(KEYS),
        buses="redis",
        handles_events=False,  # a test that needs it turns it on; it costs each other one a moment
    )


@asynccontextmanager
async def served(settings: GatewaySettings) -> AsyncGenerator[AsyncClient]:
    """The application with these settings, over a socket; the client has a key for everything."""
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(settings),
            port=0,
            log_level="warning",
            lifespan="on",
            ws="none",
            # A connection that is closed for idleness just when it is used would be an error of the test.
            timeout_keep_alive=60,
            timeout_graceful_shutdown=5,
        )
    )
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(server.serve())

        async def started() -> bool:
            return server.started or serving.done()

        await until(started)
        port = server.servers[0].sockets[0].getsockname()[1]
        try:
            async with AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=ADMIN, timeout=20) as client:
                yield client
        finally:
            server.should_exit = True


@pytest.fixture
async def client(settings: GatewaySettings) -> AsyncIterator[AsyncClient]:
    async with served(settings) as client:
        yield client


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = connect(Secret(database_url), service="gateway")
    yield engine
    await engine.dispose()


@pytest.fixture
async def query(database_url: str) -> AsyncIterator[Query]:
    """Rows of the database, read past the gateway."""
    connection = await asyncpg.connect(database_url)

    async def run(statement: str, *values: object) -> list[asyncpg.Record]:
        return await connection.fetch(statement, *values)

    yield run
    await connection.close()


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[RedisClient]:
    redis = connect_redis(Secret(redis_url))
    yield redis
    await redis.aclose()
