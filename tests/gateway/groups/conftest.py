"""The gateway over a socket and a service in this process: chains and groups go between the two."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.door.keys import ApiKeys
from gateway.ledger import ledger
from gateway.settings import GatewaySettings
from shared.bus.redis_streams import RedisClient
from shared.bus.redis_streams import connect as connect_redis
from shared.contracts import EmailRequested, Event, UserRegistered, wrap
from shared.db import connect
from shared.jobs import Handlers
from shared.service import Service
from shared.settings import Secret
from tests.gateway.door.conftest import KEYS, served
from tests.until import until

FINAL = {"succeeded", "dead", "cancelled", "expired"}


def ada(user_id: str = "u-1") -> dict[str, str]:
    return {"user_id": user_id, "name": "Ada Lovelace", "email": "ada@example.com"}


def mail(n: int | str = 1) -> EmailRequested:
    return EmailRequested(email_id=f"m-{n}", to="ada@example.com", subject="Hello", text="Good morning.")


def member(n: int | str = 1, **more: str) -> dict[str, Any]:
    return {"type": "email.requested", "data": mail(n).model_dump(mode="json", exclude_none=True), **more}


THEN = {"type": "email.bounced", "data": {"email_id": "all", "reason": "the group is done with"}}


@dataclass
class House:
    """A gateway and its servers; a test starts and stops services beside it."""

    settings: GatewaySettings
    client: AsyncClient
    engine: AsyncEngine
    redis: RedisClient

    @asynccontextmanager
    async def service(self, handlers: Handlers) -> AsyncGenerator[Service]:
        service = Service("lab", handlers, self.settings)
        await service.start()
        try:
            yield service
        finally:
            await service.stop()

    async def register(self) -> str:
        """Publish user.registered; returns the event's id."""
        event = {"specversion": "1.0", "id": str(uuid4()), "source": "/shop", "type": UserRegistered.type}
        answer = await self.client.post(
            "/v1/events",
            json=event | {"data": ada()},
            headers={"content-type": "application/cloudevents+json"},
        )
        assert answer.status_code == 202, answer.text
        return answer.json()["event_id"]

    async def accept(self, event: Event) -> str:
        """Commit an event of any type, as the door does; the relay publishes it. Returns its id."""
        envelope = wrap(event, source="/shop")
        async with self.engine.begin() as connection:
            await ledger.write(connection, [envelope])
        return envelope.id

    async def open_group(self, *members: dict[str, Any], **headers: str) -> dict[str, Any]:
        answer = await self.client.post(
            "/v1/groups", json={"events": list(members), "then": THEN}, headers=headers
        )
        assert answer.status_code == 202, answer.text
        assert answer.headers["location"] == f"/v1/groups/{answer.json()['id']}"
        return answer.json()

    async def group(self, id_: str) -> dict[str, Any]:
        answer = await self.client.get(f"/v1/groups/{id_}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def completed(self, id_: str, *, within: float = 20.0) -> dict[str, Any]:
        """The group, once its callback is in the ledger."""

        async def done() -> dict[str, Any] | None:
            answer = await self.client.get(f"/v1/groups/{id_}")
            return answer.json() if answer.is_success and answer.json()["state"] == "completed" else None

        return await until(done, within=within, what=f"the end of the group {id_}")

    async def event(self, id_: str) -> dict[str, Any] | None:
        answer = await self.client.get(f"/v1/events/{id_}")
        return answer.json() if answer.status_code == 200 else None

    async def entered(self, id_: str, *, settled: bool = False, within: float = 20.0) -> dict[str, Any]:
        """The event, once it is in the ledger, or settled there."""

        async def there() -> dict[str, Any] | None:
            event = await self.event(id_)
            return event if event and (event["settled_at"] or not settled) else None

        return await until(there, within=within, what=f"the event {id_}")

    async def final(self, job_id: str, *, within: float = 20.0) -> dict[str, Any]:
        async def ended() -> dict[str, Any] | None:
            answer = await self.client.get(f"/v1/jobs/{job_id}", params={"wait": 5})
            job = answer.json() if answer.status_code == 200 else {}
            return job if job.get("state") in FINAL else None

        return await until(ended, within=within, what=f"the end of {job_id}")


@pytest.fixture(params=["redis", "nats"])
def bus_name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def settings(bus_name: str, redis_url: str, nats_url: str, database_url: str) -> GatewaySettings:
    return GatewaySettings(
        redis_url=Secret(redis_url),
        nats_url=Secret(nats_url),
        database_url=Secret(database_url),
        api_keys=ApiKeys.parse(KEYS),
        buses=bus_name,
        log_level="error",
        lease=timedelta(seconds=2),
        grace=timedelta(seconds=5),
        handles_events=False,  # a test that needs it turns it on; it costs each other one a moment
    )


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = connect(Secret(database_url), service="gateway")
    yield engine
    await engine.dispose()


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[RedisClient]:
    redis = connect_redis(Secret(redis_url))
    yield redis
    await redis.aclose()


@pytest.fixture
async def house(settings: GatewaySettings, engine: AsyncEngine, redis: RedisClient) -> AsyncIterator[House]:
    async with served(settings) as client:
        yield House(settings, client, engine, redis)
