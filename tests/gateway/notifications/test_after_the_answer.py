"""What runs after the answer: FastAPI's rule that we rely on, and what a kill loses and what it does not."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI
from httpx import ASGITransport, AsyncClient
from sqlalchemy import text
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from email_service.handlers import PostOffice
from email_service.handlers import handlers as mail_handlers
from email_service.mail import Letterhead, Writer, mailbox
from email_service.mailbook import MailBook
from email_service.relay import RelayAddress
from email_service.smtp import Mailer
from email_service.templates import Templates
from gateway.settings import GatewaySettings
from shared.db import connect
from shared.service import Service
from shared.settings import Secret, Settings
from shared.telemetry import Tracing
from tests.email_service.conftest import LIMITS, NO_FILES, TEMPLATES, enclosures
from tests.email_service.scripted_relay import ScriptedRelay, scripted_relay
from tests.gateway.door.conftest import KEYS, Query, served
from tests.gateway.door.test_process import running
from tests.until import until


async def used_after_the_answer(scope: Any, engine: AsyncEngine) -> list[str]:
    """What a task sees of the session of a dependency with this scope."""
    seen: list[str] = []

    async def session() -> AsyncGenerator[AsyncSession]:
        async with AsyncSession(engine, close_resets_only=False) as session:
            yield session
        seen.append("closed")

    async def use(session: AsyncSession) -> None:
        try:
            await session.execute(text("SELECT 1"))
            seen.append("used")
        except InvalidRequestError:
            seen.append("refused")

    app = FastAPI()

    @app.post("/")
    async def endpoint(  # pyright: ignore[reportUnusedFunction] - FastAPI has it
        session: Annotated[AsyncSession, Depends(session, scope=scope)], tasks: BackgroundTasks
    ) -> None:
        tasks.add_task(use, session)

    async with AsyncClient(transport=ASGITransport(app), base_url="http://app") as client:
        await client.post("/")
    return seen


async def test_a_session_of_the_request_lives_until_its_tasks_are_done(database_url: str) -> None:
    engine = connect(Secret(database_url), service="gateway")
    try:
        assert await used_after_the_answer("request", engine) == ["used", "closed"]
        assert await used_after_the_answer(None, engine) == ["used", "closed"]
        assert await used_after_the_answer("function", engine) == ["closed", "refused"]
    finally:
        await engine.dispose()


@pytest.fixture
def environment(redis_url: str, nats_url: str, database_url: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "REDIS_URL": redis_url,
        "NATS_URL": nats_url,
        "DATABASE_URL": database_url,
        "API_KEYS": KEYS,
        "BUSES": "redis",
        "GRACE": "10",
        "LOG_LEVEL": "warning",
    }


@asynccontextmanager
async def email_service(redis_url: str, database_url: str, relay: ScriptedRelay) -> AsyncGenerator[None]:
    """The email service, in this process, with a relay of the test's own."""
    engine = connect(Secret(database_url), service="email", pool_size=2)

    @asynccontextmanager
    async def resources(tracing: Tracing) -> AsyncGenerator[tuple[object, ...]]:
        writer = Writer(
            Letterhead(mailbox("no-reply@trunkline.localhost"), "trunkline.localhost"), Templates(TEMPLATES)
        )
        async with Mailer(RelayAddress.parse(relay.url), tracing=tracing, limits=LIMITS) as mailer:
            yield (PostOffice(writer, MailBook(engine, on_unknown="resend"), mailer, enclosures(NO_FILES)),)

    settings = Settings(redis_url=Secret(redis_url), buses="redis", log_level="error")
    service = Service("email", mail_handlers, settings, resources=resources)
    await service.start()
    try:
        yield
    finally:
        await service.stop()
        await engine.dispose()


async def test_a_gateway_that_is_killed_after_the_answer_loses_the_audit_line_and_never_the_mail(
    environment: dict[str, str], settings: GatewaySettings, database_url: str, redis_url: str, query: Query
) -> None:
    body = {"email": "ada@example.com", "subject": "Hello", "text": "Good morning."}
    async with scripted_relay() as relay, email_service(redis_url, database_url, relay):
        async with running(environment, TRUNKLINE_FAULT="after_answer") as gateway:
            answer = await gateway.client.post("/v1/notifications", json=body)
            assert answer.status_code == 202
            assert await gateway.exit_code() == 137

        async with served(settings):

            async def delivered() -> bool:
                return len(relay.mails) == 1

            await until(delivered, within=30, what="the mail")

        assert relay.mails[0]["Subject"] == "Hello"
    assert not await query("SELECT FROM gateway.audit")
