"""POST /v1/jobs with a unique_key: one job for one key, whoever asks at once, dies or is away."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.ledger.ledger import Ledger
from gateway.ledger.unique import UniqueJobs
from gateway.settings import GatewaySettings
from launcher.servers import RedisServer
from shared.bus import Bus, Order, direct_event
from shared.bus.redis_streams import RedisClient, RedisQueues, UniqueKeys
from shared.bus.redis_streams import connect as connect_redis
from shared.contracts import Envelope
from shared.errors import BusUnavailable
from shared.settings import Secret
from tests.gateway.door.conftest import Query, served
from tests.gateway.door.jobs import (
    JOB,
    MAIL,
    QUEUE,
    UNIQUE,
    count,
    in_state,
    job_of,
    on_queue,
    problem,
    register,
    working,
)
from tests.gateway.door.test_process import GONE, environment, running

__all__ = ["environment"]  # a fixture of test_process.py


@pytest.fixture(autouse=True)
async def registered(redis: RedisClient) -> None:
    """The handlers are known; no worker lives."""
    await register(redis)


@pytest.fixture
async def bus(settings: GatewaySettings) -> AsyncIterator[Bus]:
    async with Bus.open(settings) as bus:
        yield bus


async def test_of_fifty_at_once_with_one_unique_key_one_is_a_job_and_all_name_it(
    client: AsyncClient, redis: RedisClient, query: Query
) -> None:
    answers = await asyncio.gather(*(client.post("/v1/jobs", json=UNIQUE) for _ in range(50)))

    assert len({job_of(answer) for answer in answers}) == 1
    assert ["trunkline-duplicate" in answer.headers for answer in answers].count(False) == 1
    [row] = await query("SELECT id::text FROM gateway.events")
    assert job_of(answers[0]) == f"email.send:{row['id']}"
    await on_queue(redis, 1)


async def test_of_many_at_once_with_idempotency_keys_of_their_own_one_is_a_job(
    client: AsyncClient, query: Query
) -> None:
    answers = await asyncio.gather(
        *(client.post("/v1/jobs", json=UNIQUE, headers={"idempotency-key": f"k-{n}"}) for n in range(20))
    )

    assert len({job_of(answer) for answer in answers}) == 1
    assert await count(query) == 1


async def test_python_and_rest_share_the_keys(client: AsyncClient, bus: Bus, redis: RedisClient) -> None:
    from_rest = await client.post("/v1/jobs", json=UNIQUE)
    await on_queue(redis, 1)
    in_python = await bus.enqueue("email.send", MAIL, unique_key=UNIQUE["unique_key"])
    first = await bus.enqueue("email.send", MAIL, unique_key="other")
    then_rest = await client.post("/v1/jobs", json=JOB | {"unique_key": "other"})

    assert (in_python.is_new, in_python.job_id) == (False, job_of(from_rest))
    assert (job_of(then_rest), then_rest.headers["trunkline-duplicate"]) == (first.job_id, "true")


async def test_a_key_belongs_to_one_handler(client: AsyncClient, query: Query) -> None:
    answers = [
        await client.post("/v1/jobs", json=UNIQUE | {"handler": handler})
        for handler in ("email.send", "email.audit")
    ]

    assert ["trunkline-duplicate" in answer.headers for answer in answers] == [False, False]
    assert await count(query) == 2


async def test_the_answer_tells_how_far_the_standing_job_is_and_a_failed_one_gives_the_key_free(
    client: AsyncClient, settings: GatewaySettings
) -> None:
    failing = UNIQUE | {"data": MAIL | {"text": "fail"}}
    async with working(settings, []):
        failed = job_of(await client.post("/v1/jobs", json=failing))
        await in_state(client, "dead", failed)
        after = await client.post("/v1/jobs", json=UNIQUE)
        await in_state(client, "succeeded", job_of(after))
        standing = await client.post("/v1/jobs", json=UNIQUE)

    assert job_of(after) != failed
    assert "trunkline-duplicate" not in after.headers
    assert (job_of(standing), standing.headers["trunkline-duplicate"]) == (job_of(after), "true")
    assert standing.json()["jobs"][0]["state"] == "succeeded"
    assert standing.json()["trace_id"] == after.json()["trace_id"]


async def test_the_key_stands_for_as_long_as_was_asked(client: AsyncClient, redis: RedisClient) -> None:
    await client.post("/v1/jobs", json=UNIQUE | {"unique_for": 7200})
    await client.post("/v1/jobs", json=JOB | {"unique_key": "by default"})
    await on_queue(redis, 2)

    ttl_s = sorted([await redis.ttl(key) for key in await redis.keys("unique:{email.send}:*")])

    assert [3500 < ttl_s[0] <= 3600, 7100 < ttl_s[1] <= 7200] == [True, True]


async def test_a_refused_job_gives_its_reservation_back(client: AsyncClient, redis: RedisClient) -> None:
    await client.post("/v1/jobs", json=JOB | {"id": "taken"})

    refused = await client.post("/v1/jobs", json=UNIQUE | {"id": "taken", "data": MAIL | {"text": "Other."}})

    assert problem(refused) == (409, "id-taken")
    assert await redis.keys("unique:*") == []


async def test_a_gateway_that_dies_before_the_commit_blocks_the_key_for_a_moment_only(
    environment: dict[str, str], redis: RedisClient, query: Query, bus: Bus
) -> None:
    async with running(environment, TRUNKLINE_FAULT="before_commit") as gateway:
        with pytest.raises(GONE):
            await gateway.client.post("/v1/jobs", json=UNIQUE, headers={"idempotency-key": "k"})
        assert await gateway.exit_code() == 137
    assert await count(query) == 0
    [key] = await redis.keys("unique:{email.send}:*")
    assert 0 < await redis.pttl(key) <= 30_000

    async with running(environment) as gateway:
        meanwhile = await gateway.client.post("/v1/jobs", json=UNIQUE)
        assert await redis.pexpire(key, 1)  # the time passes
        afterwards = await gateway.client.post("/v1/jobs", json=UNIQUE)
        await on_queue(redis, 1)

    assert problem(meanwhile) == (409, "unique-key-in-flight")
    assert meanwhile.headers["retry-after"] == "1"
    assert "trunkline-duplicate" not in afterwards.headers
    [row] = await query("SELECT id::text FROM gateway.events")
    assert job_of(afterwards) == f"email.send:{row['id']}"
    enqueued = await bus.enqueue("email.send", MAIL, unique_key=UNIQUE["unique_key"])
    assert (enqueued.is_new, enqueued.job_id) == (False, job_of(afterwards))


async def test_a_job_whose_gateway_died_after_the_commit_keeps_its_key(
    environment: dict[str, str], redis: RedisClient, query: Query
) -> None:
    async with running(environment, TRUNKLINE_FAULT="after_commit") as gateway:
        with pytest.raises(GONE):
            await gateway.client.post("/v1/jobs", json=UNIQUE)
        assert await gateway.exit_code() == 137
    [row] = await query("SELECT id::text, published_at FROM gateway.events")
    assert row["published_at"] is None
    await redis.flushall()  # Redis is worse off still: the reservation is over, or lost
    await register(redis)

    async with running(environment) as gateway:
        again = await gateway.client.post("/v1/jobs", json=UNIQUE)
        await on_queue(redis, 1)
        and_again = await gateway.client.post("/v1/jobs", json=UNIQUE)

    assert [job_of(answer) for answer in (again, and_again)] == [f"email.send:{row['id']}"] * 2
    assert await count(query) == 1
    [key] = await redis.keys("unique:{email.send}:*")
    assert (await redis.get(key)).decode() == row["id"]
    assert 3_500_000 < await redis.pttl(key) <= 3_600_000


def unique_event(key: str = "k") -> Envelope:
    return direct_event(
        "email.send",
        "email.requested",
        json.dumps(MAIL).encode(),
        Order(unique_key=key),
        source="/test",
    )


@pytest.fixture
async def unique(redis: RedisClient, engine: AsyncEngine) -> AsyncIterator[UniqueJobs]:
    async with Ledger(engine, hand_over=lambda _: None) as ledger:
        yield UniqueJobs(UniqueKeys(redis), ledger, engine)


async def test_who_finds_a_key_reserved_waits_for_its_end(
    unique: UniqueJobs, engine: AsyncEngine, redis: RedisClient
) -> None:
    first, second, third = unique_event(), unique_event(), unique_event()
    assert await unique.reserve(first) is None
    waiting = asyncio.create_task(unique.reserve(second))
    done, _ = await asyncio.wait([waiting], timeout=0.2)
    assert not done

    async with Ledger(engine, hand_over=lambda _: None) as ledger:
        await ledger.accept([first])
    assert await waiting == first.id

    await redis.flushall()  # the reservation is over, and the job is on no queue yet
    assert await unique.reserve(third) == first.id


async def test_a_released_key_is_the_next_ones(unique: UniqueJobs) -> None:
    first, second = unique_event(), unique_event()
    assert await unique.reserve(first) is None
    waiting = asyncio.create_task(unique.reserve(second))
    done, _ = await asyncio.wait([waiting], timeout=0.1)
    assert not done

    await unique.release(second)  # not its own: changes nothing
    await unique.release(first)

    assert await waiting is None


async def test_python_does_not_take_a_reservation_for_a_job(
    unique: UniqueJobs, bus: Bus, redis: RedisClient
) -> None:
    reserved = unique_event()
    assert await unique.reserve(reserved) is None

    waiting = asyncio.create_task(bus.enqueue("email.send", MAIL, unique_key="k"))
    done, _ = await asyncio.wait([waiting], timeout=0.2)
    assert not done
    await unique.release(reserved)

    enqueued = await waiting
    assert enqueued.is_new
    assert await redis.xlen(QUEUE) == 1


async def test_a_reservation_that_does_not_end_is_told_in_python(unique: UniqueJobs, bus: Bus) -> None:
    assert await unique.reserve(unique_event()) is None

    with pytest.raises(BusUnavailable, match="'k' is reserved by a request that does not end"):
        await bus.enqueue("email.send", MAIL, unique_key="k")


async def test_a_promised_job_is_enqueued_whoever_has_its_key(bus: Bus, redis: RedisClient) -> None:
    promised = unique_event()
    other = await bus.enqueue("email.send", MAIL, unique_key="k")

    assert set(await bus.publish([promised])) == {promised.id}

    assert await redis.xlen(QUEUE) == 2
    late = await RedisQueues(redis, window=timedelta(minutes=1)).enqueue(unique_event())
    assert late.holder.event_id == other.job_id.rpartition(":")[2]


async def test_without_redis_only_unique_jobs_are_refused(
    settings: GatewaySettings, tmp_path: Path, query: Query
) -> None:
    server = RedisServer(tmp_path / "redis", durable=False)
    await server.start()
    try:
        changed = settings.model_copy(update={"redis_url": Secret(server.url)})
        redis = connect_redis(changed.redis_url)
        await register(redis)
        await redis.aclose()
        async with served(changed) as client:
            assert (await client.post("/v1/jobs", json=JOB)).status_code == 202
            await server.kill()
            plain = await client.post("/v1/jobs", json=JOB)
            unique = await client.post("/v1/jobs", json=UNIQUE)
    finally:
        await server.delete()

    assert plain.status_code == 202
    assert problem(unique) == (503, "unavailable")
    assert "retry-after" in unique.headers
    assert await count(query) == 2
