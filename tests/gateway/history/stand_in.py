"""What the history's tests look at and write: jobs as the workers' scripts leave them, and Postgres."""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.contracts import UserRegistered, encode_structured, wrap
from tests.servers import AnyServer
from tests.until import until

WELCOME = "email.send_welcome"


@asynccontextmanager
async def away(server: AnyServer) -> AsyncGenerator[None]:
    """The server is killed, and started again afterwards."""
    await server.kill()
    try:
        yield
    finally:
        await server.start()


@dataclass
class Workers:
    """Writes what the workers' scripts write: handlers, job hashes and the log."""

    redis: Any

    async def register(self, handler: str, event_type: str = "user.registered") -> None:
        """Make the handler known, as its service does when it starts."""
        record = {
            "name": handler,
            "service": handler.partition(".")[0],
            "event_type": event_type,
            "max_attempts": 5,
            "concurrency": 64,
            "time_limit_s": 30.0,
            "version": "1",
            "description": "Does it.",
            "registered_at": "2026-01-01T00:00:00+00:00",
        }
        await self.redis.hset("handlers", handler, json.dumps(record))

    async def write(
        self, event_id: str, state: str, *, handler: str = WELCOME, attempt: int = 1, **fields: Any
    ) -> str:
        """Write the job's hash and its change; returns the id of the log's entry."""
        await self.write_hash(event_id, state, handler=handler, attempt=attempt, **fields)
        return await self.tell([(event_id, state, attempt)], handler=handler)

    async def write_hash(
        self, event_id: str, state: str, *, handler: str = WELCOME, attempt: int = 1, **fields: Any
    ) -> None:
        """Write the job's hash alone."""
        now_ms = str(round(datetime.now(UTC).timestamp() * 1000))
        values = {
            "state": state,
            "attempt": str(attempt),
            "max_attempts": "5",
            "handler": handler,
            "service": handler.partition(".")[0],
            "event_id": event_id,
            "event_type": "user.registered",
            "worker": "w1",
            "queued_at": now_ms,
            "started_at": now_ms,
            **{
                name: value if isinstance(value, bytes | str) else json.dumps(value)
                for name, value in fields.items()
            },
        }
        await self.redis.hset(f"job:{{{handler}}}:{event_id}", mapping=values)

    async def tell(self, changes: list[tuple[str, str, int]], *, handler: str = WELCOME) -> str:
        """Write an entry of the log."""
        entry = {"h": handler, "c": json.dumps(changes)}
        return (await self.redis.xadd("jobs:log", entry)).decode()


async def accept(engine: AsyncEngine, event_id: str, type_: str = "user.registered") -> None:
    """Enter an event into the ledger, as the door does."""
    insert = """
        INSERT INTO gateway.events (id, type, source, attributes, data) VALUES (:id, :type, '/t', '{}', '{}')
    """
    async with engine.begin() as connection:
        await connection.execute(text(insert), {"id": event_id, "type": type_})


async def rows(engine: AsyncEngine, query: str, **values: object) -> list[Mapping[str, Any]]:
    """The rows of the query, by column."""
    async with engine.connect() as connection:
        return [dict(row) for row in (await connection.execute(text(query), values)).mappings()]


async def recorded(engine: AsyncEngine, job_id: str, state: str) -> Mapping[str, Any]:
    """The job's row, once it is in this state."""
    query = "SELECT * FROM gateway.jobs WHERE id = :id AND state = :state"

    async def look() -> list[Mapping[str, Any]]:
        return await rows(engine, query, id=job_id, state=state)

    return (await until(look))[0]


def structured(event_id: str) -> bytes:
    """An event as workers keep it."""
    event = UserRegistered(user_id="u1", name="Ada", email="ada@example.com")
    return encode_structured(wrap(event, source="/elsewhere", id=event_id))
