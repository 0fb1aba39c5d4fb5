"""The shop behind the door, on real servers; each test has a database of its own."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.settings import GatewaySettings
from shared.bus.redis_streams import RedisClient
from shared.contracts import Event, new_id, wrap
from shared.jobs import Job
from shared.telemetry import get_logger
from tests.gateway.door import conftest as door
from tests.gateway.door.conftest import Query, served

settings = door.settings
engine = door.engine
query = door.query
redis = door.redis

__all__ = ["AsyncEngine", "Query", "RedisClient", "engine", "query", "redis", "settings"]


@pytest.fixture
async def client(settings: GatewaySettings) -> AsyncIterator[AsyncClient]:
    async with served(settings.model_copy(update={"handles_events": True})) as client:
        yield client


async def a_user(client: AsyncClient, email: str = "ada@example.com") -> str:
    answer = await client.post("/v1/users", json={"name": "Ada Lovelace", "email": email})
    assert answer.status_code == 201
    return str(answer.json()["id"])


async def a_product(
    client: AsyncClient, sku: str = "TEA-100", *, name: str = "Tea", unit_price_cents: int = 450
) -> dict[str, Any]:
    answer = await client.put(
        f"/v1/products/{sku}", json={"name": name, "unit_price_cents": unit_price_cents}
    )
    assert answer.status_code in {200, 201}
    return answer.json()


async def an_order(client: AsyncClient) -> dict[str, Any]:
    user_id = await a_user(client)
    await a_product(client)
    answer = await client.post(
        "/v1/orders", json={"user_id": user_id, "items": [{"sku": "TEA-100", "quantity": 2}]}
    )
    assert answer.status_code == 202
    return answer.json()


def a_job(event: Event, handler: str) -> Job:
    """An attempt of a handler at the event."""

    async def nobody_listens(_done: float, _total: float, _note: str) -> None: ...

    envelope = wrap(event, source="/test", id=new_id())
    return Job(
        id=f"{handler}:{envelope.id}",
        handler=handler,
        attempt=1,
        envelope=envelope,
        deadline=datetime.now(UTC) + timedelta(minutes=1),
        log=get_logger(),
        tell_progress=nobody_listens,
    )


def pointers(problem: dict[str, Any]) -> list[str]:
    return [error["pointer"] for error in problem["errors"]]
