"""Limits, scale and explanations through the whole gateway."""

import json

import pytest
from httpx import AsyncClient

from shared.bus.redis_streams import RedisClient
from tests.conftest import Servers
from tests.gateway.history.stand_in import WELCOME, Workers, away
from tests.until import until


async def register_user(client: AsyncClient) -> str:
    """The id of the job that its event will have."""
    answer = await client.post("/v1/users", json={"name": "Ada", "email": "ada@example.com"})
    return f"{WELCOME}:{answer.json()['event_id']}"


async def test_a_user_waits_for_a_welcome_until_a_worker_comes(
    client: AsyncClient, redis: RedisClient
) -> None:
    await Workers(redis).register(WELCOME)
    job_id = await register_user(client)

    async def published() -> bool:
        return bool(await redis.exists("events:user.registered"))

    await until(published)

    async def told() -> list[str] | None:
        answer = (await client.get(f"/v1/jobs/{job_id}/explain")).json()
        codes = [answer["cause"]["code"], *(cause["code"] for cause in answer["also"])]
        return codes if "not_published" not in codes else None

    assert await until(told) == ["no_worker", "behind"]
    scale = (await client.get("/v1/scale/email")).json()
    assert (scale["backlog"], scale["lag"], scale["workers"], scale["reason"]) == (1, 1, 0, None)
    assert scale["oldest_age_s"] >= 0


async def test_all_services_are_measured_at_once_as_each_alone(
    client: AsyncClient, redis: RedisClient
) -> None:
    nobody = await client.get("/v1/scale")
    workers = Workers(redis)
    for handler in (WELCOME, "report.record_user", "email.note"):
        await workers.register(handler)
    worker = {"id": "w1", "service": "email", "version": "1", "handlers": [WELCOME], "host": "h", "pid": 1}
    await redis.set("worker:w1", json.dumps({**worker, "started_at": "2026-01-01T00:00:00Z"}), px=60_000)
    await redis.zadd("workers", {"w1": 9_999_999_999_999})
    for dead_of in (WELCOME, "email.note", "report.record_user"):
        await redis.zadd(f"dead:{{{dead_of}}}", {"a": 1, "b": 2})

    page = (await client.get("/v1/scale")).json()
    alone = [(await client.get(f"/v1/scale/{name}")).json() for name in ("email", "report")]

    assert nobody.json() == {"items": [], "next": None}
    assert page == {"items": alone, "next": None}
    assert [(one["service"], one["dead"], one["workers"]) for one in page["items"]] == [
        ("email", 4, 1),
        ("report", 2, 0),
    ]
    assert [one["name"] for one in page["items"][0]["handlers"]] == ["email.note", WELCOME]


async def test_an_operator_pauses_a_handler_and_the_explanation_says_so(
    client: AsyncClient, redis: RedisClient
) -> None:
    await Workers(redis).register(WELCOME)
    worker = {"id": "w1", "service": "email", "version": "1", "handlers": [WELCOME], "host": "h", "pid": 1}
    await redis.set("worker:w1", json.dumps({**worker, "started_at": "2026-01-01T00:00:00Z"}), px=60_000)
    await redis.zadd("workers", {"w1": 9_999_999_999_999})

    paused = await client.patch(f"/v1/handlers/{WELCOME}", json={"paused": True, "note": "moving"})
    job_id = await register_user(client)

    async def told() -> dict[str, object] | None:
        cause = (await client.get(f"/v1/jobs/{job_id}/explain")).json()["cause"]
        return cause if cause["code"] != "not_published" else None

    assert (paused.status_code, paused.json()["paused"]) == (200, True)
    cause = await until(told)
    facts = {"note": "moving", "since": paused.json()["since"]}
    assert cause == {"code": "paused", "sentence": "The handler is paused.", "facts": facts}


@pytest.mark.parametrize("path", ["/v1/scale/nobody", f"/v1/jobs/{WELCOME}:1/explain", "/v1/jobs/x/explain"])
async def test_what_nobody_knows_is_not_found(client: AsyncClient, path: str) -> None:
    answer = await client.get(path)

    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")


@pytest.mark.parametrize("path", ["/v1/scale", "/v1/scale/email", f"/v1/jobs/{WELCOME}:1/explain"])
async def test_asking_needs_the_scope_read(client: AsyncClient, path: str) -> None:
    answer = await client.get(path, headers={"authorization": "Bearer only-publish"})

    assert (answer.status_code, answer.json()["scope"]) == (403, "read")


@pytest.mark.parametrize(
    "path",
    ["/v1/scale", "/v1/scale/email", "/v1/workers", f"/v1/jobs/{WELCOME}:1/explain", "/v1/handlers"],
)
async def test_without_redis_nothing_is_guessed(client: AsyncClient, servers: Servers, path: str) -> None:
    async with away(servers.redis):
        answer = await client.get(path)

    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/unavailable")
    assert answer.headers["retry-after"]


async def test_the_document_describes_what_operators_use(client: AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()

    change = document["paths"]["/v1/handlers/{name}"]["patch"]
    assert change["requestBody"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/HandlerChange"
    }
    assert change["security"] == [{"ApiKey": ["operate"]}]
    for path, schema in (
        ("/v1/scale", "MeasuredServices"),
        ("/v1/scale/{service}", "MeasuredService"),
        ("/v1/jobs/counts", "JobCounts"),
        ("/v1/events", "EventPage"),
        ("/v1/events/{event_id}/tree", "Tree"),
        ("/v1/jobs/{job_id}/explain", "Explanation"),
        ("/v1/handlers/{name}", "HandlerBody"),
    ):
        content = document["paths"][path]["get"]["responses"]["200"]["content"]
        assert content["application/json"]["schema"] == {"$ref": f"#/components/schemas/{schema}"}
