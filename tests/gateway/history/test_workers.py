"""GET /v1/workers: who is alive, how much each may hold, and how much it holds."""

import json
import time
from typing import Any

import pytest
from httpx import AsyncClient

from shared.contracts import new_id
from shared.jobs import HandlerControl
from tests.gateway.history.stand_in import WELCOME, Workers

RECORD = "report.record_user"


async def announce(redis: Any, id_: str, *, left_s: float = 15, **fields: Any) -> None:
    """Enter a worker as it enters itself."""
    record = {"id": id_, "service": "email", "version": "1", "handlers": [WELCOME], "host": "h", "pid": 1}
    record |= {"started_at": "2026-01-01T00:00:00Z", **fields}
    await redis.set(f"worker:{id_}", json.dumps(record), px=round(left_s * 1000))
    await redis.zadd("workers", {id_: (time.time() + left_s) * 1000})


async def run(
    redis: Any, workers: Workers, worker: str, handler: str = WELCOME, *, left_s: float = 15
) -> None:
    """Let the worker hold a job of the handler."""
    event_id = new_id()
    await workers.write_hash(event_id, "running", handler=handler, worker=worker)
    await redis.zadd(f"running:{{{handler}}}", {event_id: (time.time() + left_s) * 1000})


async def shown(client: AsyncClient) -> dict[str, tuple[int, int]]:
    """Slots and running jobs, by worker."""
    items = (await client.get("/v1/workers")).json()["items"]
    return {one["id"]: (one["slots"], one["running"]) for one in items}


async def test_a_worker_is_shown_with_what_it_holds_and_its_lease(
    client: AsyncClient, workers: Workers, redis: Any
) -> None:
    await workers.register(WELCOME)
    await announce(redis, "w1", handlers=[WELCOME, RECORD], places={WELCOME: 64, RECORD: 2})
    for handler in (WELCOME, WELCOME, RECORD):
        await run(redis, workers, "w1", handler)

    page = (await client.get("/v1/workers")).json()

    (item,) = page["items"]
    assert 0 < item.pop("lease_left_s") <= 15
    assert page["next"] is None
    assert item == {
        "id": "w1",
        "service": "email",
        "version": "1",
        "handlers": [WELCOME, RECORD],
        "host": "h",
        "pid": 1,
        "started_at": "2026-01-01T00:00:00Z",
        "slots": 66,
        "running": 3,
    }


async def test_each_worker_is_counted_alone_and_a_job_without_lease_is_nobodys(
    client: AsyncClient, workers: Workers, redis: Any
) -> None:
    await announce(redis, "w1", places={WELCOME: 4})
    await announce(redis, "w2", places={WELCOME: 8})
    await run(redis, workers, "w1")
    await run(redis, workers, "w2")
    await run(redis, workers, "w2")
    await run(redis, workers, "w2", left_s=-1)
    await run(redis, workers, "died")

    assert await shown(client) == {"w1": (4, 1), "w2": (8, 2)}


async def test_slots_follow_the_limits_in_force(client: AsyncClient, workers: Workers, redis: Any) -> None:
    await workers.register(WELCOME)
    await announce(redis, "w1", handlers=[WELCOME, RECORD], places={WELCOME: 64, RECORD: 2})
    await HandlerControl(redis).change(WELCOME, {"worker_concurrency": 5})

    assert await shown(client) == {"w1": (7, 0)}


@pytest.mark.parametrize(("is_registered", "slots"), [(True, 64), (False, 0)])
async def test_a_worker_of_an_earlier_version_does_not_tell_its_places(
    *, client: AsyncClient, workers: Workers, redis: Any, is_registered: bool, slots: int
) -> None:
    if is_registered:
        await workers.register(WELCOME)
    await announce(redis, "w1")

    assert await shown(client) == {"w1": (slots, 0)}


async def test_nobody_is_alive(client: AsyncClient, redis: Any) -> None:
    await redis.zadd("workers", {"gone": 1})

    assert (await client.get("/v1/workers")).json() == {"items": [], "next": None}
