"""How often a worker asks Redis, as Redis itself tells: by the batch, never by the job."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from redis.asyncio import Redis
from redis.asyncio.client import Monitor

from shared.jobs import Handlers
from tests.conformance.conftest import Asked, Lab, all_of
from tests.until import until

JOBS = 2_000
ROOM = 256
BATCHES_MOST = 4 * JOBS // (ROOM // 4)
"""A quarter of the room at a time, they fit into 32 batches; a busy machine may deliver smaller ones."""
SCRIPTS_BESIDES, OTHERS_BESIDES = (20, 3), (50, 10)
"""At the start and the end, and a second: what leases, and looking for what is due, cause of one command."""


async def test_what_a_worker_asks_of_redis_grows_with_batches_and_not_with_jobs(lab: Lab) -> None:
    handlers, ran = Handlers("lab"), set[int]()

    @handlers.on(Asked, concurrency=ROOM)
    async def answer(event: Asked) -> int:
        ran.add(event.n)
        return event.n

    async def all_ran() -> bool:
        return len(ran) == JOBS

    async with lab.service(handlers):
        pass
    published = await lab.publish(*(Asked(n=n) for n in range(JOBS)))

    began = time.monotonic()
    async with commands(lab.settings.redis_url.get_secret_value()) as sent, lab.service(handlers):
        await until(all_ran, within=60, what="all jobs")
        await lab.settles("lab.answer")

    scripts, read, acknowledged = (sent.pop(name, 0) for name in ("EVALSHA", "XREADGROUP", "XACKDEL"))
    batches = read if lab.bus_name == "redis" else BATCHES_MOST
    took_s = time.monotonic() - began
    assert read <= BATCHES_MOST
    assert acknowledged <= read
    assert scripts <= 2 * batches + most(SCRIPTS_BESIDES, took_s)
    assert {name: times for name, times in sent.items() if times > most(OTHERS_BESIDES, took_s)} == {}
    await all_of(lab, "succeeded", "lab.answer", published)


def most(besides: tuple[int, int], took_s: float) -> float:
    once, each_second = besides
    return once + each_second * took_s


@asynccontextmanager
async def commands(redis_url: str) -> AsyncGenerator[Counter[str]]:
    """What clients send meanwhile, complete at the end; what scripts do inside of Redis is not among it."""
    sent = Counter[str]()
    async with Redis.from_url(redis_url) as redis, redis.monitor() as monitor:
        counting = asyncio.create_task(_count(monitor, sent))
        try:
            yield sent
            await redis.echo(_END)
            await asyncio.wait_for(counting, timeout=60)
        finally:
            counting.cancel()


_END = "the end of the count"


async def _count(monitor: Monitor, sent: Counter[str]) -> None:
    while (command := await monitor.next_command())["command"] != f"ECHO {_END}":
        if command["client_type"] != "lua":
            sent[command["command"].partition(" ")[0]] += 1
