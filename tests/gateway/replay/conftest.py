"""Dead letters and those who replay them, on real servers; handlers run where a test starts a service."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.door.keys import ApiKeys
from gateway.history.history import History
from gateway.ledger.ledger import Ledger
from gateway.ledger.recorder import Recorder
from gateway.operations.again import RunAgain
from gateway.operations.replaying import Replaying
from gateway.operations.replays import Replays
from gateway.settings import GatewaySettings
from shared.bus.redis_streams import connect as connect_redis
from shared.contracts import new_id
from shared.db import connect
from shared.jobs import JobControl, JobLog, JobReader, Registry
from shared.settings import Secret
from tests.gateway.door.conftest import served
from tests.gateway.history.stand_in import WELCOME, Workers, rows, structured
from tests.until import until

KEYS = "operator=operate+read+publish,reader=read"
DEAD_SINCE = datetime(2026, 3, 1, tzinfo=UTC)

Bury = Callable[..., Any]
Work = Callable[[], AbstractAsyncContextManager[Replaying]]


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


@pytest.fixture
async def client(settings: GatewaySettings) -> AsyncIterator[AsyncClient]:
    """A gateway, and an operator who asks it."""
    async with served(settings) as client:
        client.headers["authorization"] = "Bearer operator"
        yield client


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = connect(Secret(database_url), service="gateway")
    yield engine
    await engine.dispose()


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Any]:
    client = connect_redis(Secret(redis_url))
    yield client
    await client.aclose()


@pytest.fixture
def workers(redis: Any) -> Workers:
    return Workers(redis)


@pytest.fixture
async def recorder(redis: Any, engine: AsyncEngine) -> AsyncIterator[Recorder]:
    """Who writes the history where no gateway runs."""
    async with Recorder(JobLog(redis), JobReader(redis), Registry(redis), engine) as recorder:
        yield recorder


@pytest.fixture
def replays(engine: AsyncEngine) -> Replays:
    return Replays(engine)


@pytest.fixture
def work(engine: AsyncEngine, redis: Any, replays: Replays) -> Work:
    """What one gateway does about replays, while it is entered."""

    @asynccontextmanager
    async def one_gateway() -> AsyncGenerator[Replaying]:
        ledger = Ledger(engine, hand_over=lambda _: None)
        history = History(engine)
        again = RunAgain(JobControl(redis, keep=timedelta(hours=1)), ledger, history)
        async with ledger, Replaying(replays, again, history, engine) as replaying:
            yield replaying

    return one_gateway


@pytest.fixture
def bury(workers: Workers, engine: AsyncEngine) -> Bury:
    """Dead jobs in Redis and in the history, each dead a second later than the one before."""

    async def bury(
        count: int,
        *,
        handler: str = WELCOME,
        reason: str = "exhausted",
        error: str = "RelayBusy",
        message: str = "the relay is busy",
        stack: str = "",
        since: datetime = DEAD_SINCE,
        recorded: bool = True,
    ) -> list[str]:
        ids = [new_id() for _ in range(count)]
        for n, event_id in enumerate(ids):
            await workers.write(
                event_id,
                "dead",
                handler=handler,
                attempt=5,
                reason=reason,
                error={"type": error, "message": message, "stack": stack},
                attempts=b'{"attempt":5,"worker":"w1"}',
                finished_at=str(round((since + timedelta(seconds=n)).timestamp() * 1000)),
                event=structured(event_id),
            )
        job_ids = [f"{handler}:{event_id}" for event_id in ids]
        if recorded:
            await dead(engine, job_ids)
        return job_ids

    return bury


async def dead(engine: AsyncEngine, job_ids: list[str]) -> None:
    """The history has all of them as dead."""
    query = "SELECT id FROM gateway.jobs WHERE id = ANY(:ids) AND state = 'dead'"

    async def all_there() -> bool:
        return len(await rows(engine, query, ids=job_ids)) == len(job_ids)

    await until(all_there)


async def queued(redis: Any, handler: str = WELCOME) -> list[str]:
    """The jobs in the handler's own queue, in their order."""
    entries = await redis.xrange(f"queue:{{{handler}}}")
    return [f"{handler}:{fields[b'job'].decode()}" for _, fields in entries]


async def queued_at(redis: Any, handler: str = WELCOME) -> list[float]:
    """When each entry of the queue was written, in seconds by the server's clock."""
    entries = await redis.xrange(f"queue:{{{handler}}}")
    return [int(id_.decode().partition("-")[0]) / 1000 for id_, _ in entries]


async def ended(client: AsyncClient, location: str) -> dict[str, Any]:
    """The replay, once it is over."""

    async def look() -> dict[str, Any] | None:
        replay = (await client.get(location)).json()
        return replay if replay["status"] != "running" else None

    return await until(look, within=30)
