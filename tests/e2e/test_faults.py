"""What dies, and what becomes of the work: each test has a system of its own to break."""

import asyncio
import os
import signal
from contextlib import AsyncExitStack, suppress
from uuid import uuid4

import httpx
import pytest

from tests.e2e.conftest import MAIL_ONLY, Outside, StartSystem, System, connect
from tests.until import until

JOBS = 500

pytestmark = pytest.mark.timeout(300)  # a whole system is started, and a busy machine takes its time


async def test_a_worker_killed_in_the_middle_of_500_jobs_loses_none(start_system: StartSystem) -> None:
    system = start_system(*MAIL_ONLY, LEASE="3")
    async with AsyncExitStack() as stack:
        outside = await connect(system, stack)
        run = uuid4().hex[:8]
        accepted = await _register(outside, [f"{run}.{n}@example.com" for n in range(JOBS)])

        async def in_the_middle() -> bool:
            return 50 < await asyncio.to_thread(_mail_count, system) < JOBS - 50

        await until(in_the_middle, within=30)
        killed = system.pid("email.1")
        os.kill(killed, signal.SIGKILL)
        states = [await outside.final(job_id, within=30) for job_id in accepted]

        async def started_again() -> bool:
            return system.pid("email.1") != killed

        await until(started_again)
        recipients = {str(mail["To"]) for mail in system.mails()}

    assert [job["state"] for job in states] == ["succeeded"] * JOBS
    assert len(recipients) == JOBS


async def test_an_event_of_a_gateway_that_died_after_the_commit_is_published_once(
    start_system: StartSystem,
) -> None:
    system = start_system(*MAIL_ONLY, TRUNKLINE_FAULT="after_commit", LEASE="3")
    async with AsyncExitStack() as stack:
        outside = await connect(system, stack)
        dying = system.pid("gateway.1")
        to = f"{uuid4().hex[:8]}@example.com"

        with suppress(httpx.TransportError):
            await outside.http.post("/v1/users", json={"name": "Ada", "email": to})
        await system.mail_to(to, within=30)

        assert system.pid("gateway.1") != dying
        assert len(system.mails_to(to)) == 1
        marks = [key async for key in outside.redis.scan_iter("dd:*")]
        published = [mark for mark in marks if b"user.registered" in mark]
        assert len(published) == 1


async def _register(outside: Outside, addresses: list[str]) -> list[str]:
    """All users as one batch of another system; the ids of their jobs."""
    events = [
        {
            "specversion": "1.0",
            "id": str(uuid4()),
            "source": "/crm",
            "type": "user.registered",
            "data": {"user_id": f"u{n}", "name": "Load", "email": address},
        }
        for n, address in enumerate(addresses)
    ]
    answer = await outside.http.post(
        "/v1/events", json=events, headers={"Content-Type": "application/cloudevents-batch+json"}
    )
    assert answer.status_code == 202, answer.text
    return [job["id"] for item in answer.json()["items"] for job in item["jobs"]]


def _mail_count(system: System) -> int:
    return len(list((system.data / "mail" / "new").iterdir()))
