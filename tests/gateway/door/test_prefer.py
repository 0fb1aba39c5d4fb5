"""`Prefer: wait=N` on requests that are accepted: the answer tells how their jobs ended."""

from pathlib import Path

from httpx import AsyncClient

from gateway.settings import GatewaySettings
from launcher.servers import RedisServer
from shared.bus.redis_streams import RedisClient
from shared.bus.redis_streams import connect as connect_redis
from shared.settings import Secret
from tests.gateway.door.conftest import served
from tests.gateway.door.events import ADA, binary, structured
from tests.gateway.door.jobs import JOB, MAIL, register, working


async def test_an_accepted_job_is_waited_for(client: AsyncClient, settings: GatewaySettings) -> None:
    async with working(settings):
        ended = await client.post("/v1/jobs", json=JOB, headers={"prefer": "respond-async, wait=20"})
        failed = await client.post(
            "/v1/jobs", json=JOB | {"data": MAIL | {"text": "fail"}}, headers={"prefer": "wait=20"}
        )

    assert (ended.status_code, ended.headers["preference-applied"]) == (202, "wait=20")
    assert [job["state"] for job in ended.json()["jobs"]] == ["succeeded"]
    assert [job["state"] for job in failed.json()["jobs"]] == ["dead"]


async def test_all_jobs_of_a_batch_are_waited_for_also_when_the_request_has_a_key(
    client: AsyncClient, settings: GatewaySettings
) -> None:
    headers = {
        "content-type": "application/cloudevents-batch+json",
        "prefer": "wait=20",
        "idempotency-key": "batch-1",
    }
    async with working(settings):
        answer = await client.post(
            "/v1/events", json=[structured(id=f"e-{n}") for n in range(3)], headers=headers
        )

    states = [job["state"] for item in answer.json()["items"] for job in item["jobs"]]
    assert states == ["succeeded"] * 3


async def test_a_wait_that_is_over_answers_with_the_jobs_as_they_are(
    client: AsyncClient, redis: RedisClient
) -> None:
    await register(redis)

    answer = await client.post("/v1/events", json=ADA, headers=binary(prefer="wait=1"))

    assert (answer.status_code, answer.headers["preference-applied"]) == (202, "wait=1")
    assert [job["state"] for job in answer.json()["jobs"]] == ["queued"]


async def test_what_is_committed_is_answered_so_though_nobody_can_tell_of_its_jobs(
    settings: GatewaySettings, tmp_path: Path
) -> None:
    server = RedisServer(tmp_path / "redis")
    await server.start()
    try:
        there = settings.model_copy(update={"redis_url": Secret(server.url)})
        redis = connect_redis(there.redis_url)
        await register(redis)
        await redis.aclose()
        async with served(there) as client:
            before = await client.post("/v1/events", json=ADA, headers=binary(ce_id="a-1"))
            await server.kill()
            after = await client.post("/v1/events", json=ADA, headers=binary(ce_id="a-2", prefer="wait=1"))
    finally:
        await server.delete()

    assert (before.status_code, len(before.json()["jobs"])) == (202, 1)
    assert (after.status_code, [job["state"] for job in after.json()["jobs"]]) == (202, ["queued"])


async def test_what_is_refused_is_refused_at_once(client: AsyncClient) -> None:
    answer = await client.post("/v1/jobs", json={}, headers={"prefer": "wait=20"})

    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid")
    assert "preference-applied" not in answer.headers
