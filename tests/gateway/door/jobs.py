"""The jobs that the tests of POST /v1/jobs ask for, who works on them, and how far they are."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, ClassVar

from httpx import AsyncClient, Response

from gateway.settings import GatewaySettings
from shared.bus.redis_streams import RedisClient
from shared.contracts import EmailRequested, EmailSent, Event, UserRegistered
from shared.jobs import Handlers, Registry, Retry, WorkerRecord
from shared.service import Service
from shared.settings import Settings
from tests.gateway.door.conftest import Query
from tests.until import until

MAIL = {"email_id": "m-1", "to": "ada@example.com", "subject": "Hello", "text": "Good morning."}
JOB: dict[str, Any] = {"handler": "email.send", "data": MAIL}
UNIQUE = JOB | {"unique_key": "order 4711"}
QUEUE = "queue:{email.send}"


class Unheard(Event):
    """An event that is not in the catalogue."""

    type: ClassVar[str] = "lab.unheard"


def email_handlers(seen: list[str] | None = None) -> Handlers:
    """Two handlers of email.requested, one of user.registered, one of an event that nobody knows."""
    handlers = Handlers("email")

    @handlers.on(EmailRequested, retry=Retry(attempts=1))
    async def send(event: EmailRequested) -> EmailSent:
        if seen is not None:
            seen.append(f"send {event.email_id}")
        if event.text == "fail":
            raise ValueError("as told")
        return EmailSent(email_id=event.email_id, relay_id="r")

    @handlers.on(EmailRequested)
    async def audit(event: EmailRequested) -> None:
        if seen is not None:
            seen.append(f"audit {event.email_id}")

    @handlers.on(UserRegistered)
    async def send_welcome(event: UserRegistered) -> None:
        del event

    @handlers.on(Unheard)
    async def hear(event: Unheard) -> None:
        del event

    return handlers


async def register(redis: RedisClient) -> None:
    worker = WorkerRecord(
        id="w", service="email", version="1", handlers=[], host="h", pid=1, started_at="now"
    )
    await Registry(redis).announce(list(email_handlers()), worker, lease=timedelta(minutes=1))


@asynccontextmanager
async def working(settings: GatewaySettings, seen: list[str] | None = None) -> AsyncGenerator[None]:
    """A worker that runs the handlers."""
    service = Service(
        "email",
        email_handlers(seen),
        Settings(redis_url=settings.redis_url, nats_url=settings.nats_url, buses="redis", log_level="error"),
    )
    await service.start()
    try:
        yield
    finally:
        await service.stop()


async def count(query: Query, table: str = "events") -> int:
    [row] = await query(f"SELECT count(*) FROM gateway.{table}")  # noqa: S608 - our own table's name
    return int(row[0])


def problem(answer: Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("/problems/")


def job_of(answer: Response) -> str:
    assert answer.status_code == 202, answer.text
    return str(answer.json()["jobs"][0]["id"])


async def in_state(client: AsyncClient, state: str, job_id: str) -> dict[str, Any]:
    async def there() -> dict[str, Any] | None:
        job = (await client.get(f"/v1/jobs/{job_id}")).json()
        return job if job["state"] == state else None

    return await until(there, within=20, what=f"{job_id} {state}")


async def on_queue(redis: RedisClient, entries: int) -> None:
    async def there() -> bool:
        return await redis.xlen(QUEUE) == entries

    await until(there, what=f"{entries} entries on {QUEUE}")
