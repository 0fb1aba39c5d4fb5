"""A bus loses all that it holds in the middle of the work: every accepted event's jobs end."""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any
from uuid import uuid4

import pytest
from aiosmtpd.smtp import SMTP

from tests.e2e.conftest import MAIL_ONLY, Outside, StartSystem, System, connect
from tests.until import until

JOBS = 200
SLOWLY_S = 0.1
ROUTES = {"redis": "*=redis", "nats": "user.*,email.*=nats"}

Wipe = Callable[[System, Outside], Awaitable[None]]


class SlowRelay:
    """Takes every mail, after a while."""

    def __init__(self) -> None:
        self.recipients: list[str] = []

    # aiosmtpd finds its hook by this name.
    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        await asyncio.sleep(SLOWLY_S)
        self.recipients += envelope.rcpt_tos
        return "250 2.0.0 taken"


@pytest.fixture
async def relay() -> AsyncGenerator[tuple[SlowRelay, str]]:
    relay = SlowRelay()
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(relay), "127.0.0.1", 0)
    yield relay, f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()


async def wipe_redis(_: System, outside: Outside) -> None:
    await outside.redis.flushall()


async def delete_the_stream(_: System, outside: Outside) -> None:
    await outside.nats.jetstream().delete_stream("EVENTS")


async def lose_the_folder(system: System, _: Outside) -> None:
    """The server dies, and the next one finds its folder gone."""
    killed = system.pid("nats")
    store, lost = system.data / "nats" / "jetstream", system.data / "nats" / "lost"
    store.rename(lost)
    os.kill(killed, signal.SIGKILL)

    async def started_again() -> bool:
        return system.pid("nats") != killed and store.exists()

    await until(started_again, within=30)
    shutil.rmtree(lost)


async def wipe_both(system: System, outside: Outside) -> None:
    await wipe_redis(system, outside)
    await delete_the_stream(system, outside)


@pytest.mark.timeout(300)  # it starts a whole system, breaks it, and waits for leases
@pytest.mark.parametrize(
    ("bus", "wipe"),
    [
        ("redis", wipe_redis),
        ("nats", delete_the_stream),
        ("nats", lose_the_folder),
        ("nats", wipe_both),
    ],
)
async def test_a_bus_that_loses_everything_costs_no_job(
    start_system: StartSystem, relay: tuple[SlowRelay, str], bus: str, wipe: Wipe
) -> None:
    taken, url = relay
    system = await asyncio.to_thread(
        lambda: start_system(*MAIL_ONLY, BUS_ROUTES=ROUTES[bus], SMTP_URL=url, LEASE="3", RECONCILE_AFTER="2")
    )
    async with AsyncExitStack() as stack:
        outside = await connect(system, stack)
        accepted = await _accept(outside, JOBS // 2)

        async def in_the_middle() -> bool:
            return len(taken.recipients) > JOBS // 20

        await until(in_the_middle, within=30)
        more, _ = await asyncio.gather(_accept(outside, JOBS // 2), wipe(system, outside))
        done_by_then = len(taken.recipients)
        jobs = [await outside.final(job_id, within=60) for job_id in {**accepted, **more}.values()]

        async def last_is_settled() -> bool:
            event = (await outside.http.get(f"/v1/events/{jobs[-1]['event_id']}")).json()
            return event["settled_at"] is not None

        await until(last_is_settled, within=30)

    assert done_by_then < JOBS
    assert {job["state"] for job in jobs} == {"succeeded"}
    assert set(taken.recipients) == {*accepted, *more}


async def _accept(outside: Outside, count: int) -> dict[str, str]:
    """Users of another system, in one batch; address -> the id of its job."""
    addresses = [f"{uuid4().hex}@example.com" for _ in range(count)]
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
    return {
        address: f"email.send_welcome:{item['event_id']}"
        for address, item in zip(addresses, answer.json()["items"], strict=True)
    }
