from typing import Any

from httpx import AsyncClient

from gateway.app import create_app
from gateway.settings import GatewaySettings
from launcher.ports import free_port
from shared.bus.redis_streams import RedisClient
from shared.settings import Secret
from tests.gateway.door.conftest import served
from tests.gateway.history.stand_in import Workers
from tests.until import until


async def test_a_gateway_with_all_it_needs_is_ready(client: AsyncClient) -> None:
    answer = await client.get("/readyz")

    assert (answer.status_code, answer.json()["status"]) == (200, "ready")
    assert set(answer.json()["checks"]) == {"accepting", "postgres", "bus"}


async def test_without_postgres_requests_are_to_be_repeated_and_none_fails_with_500(
    settings: GatewaySettings,
) -> None:
    nobody = Secret(f"postgresql://trunkline@127.0.0.1:{free_port()}/trunkline")
    async with served(settings.model_copy(update={"database_url": nobody})) as client:
        answers = [
            await client.post("/v1/users", json={"name": "Ada", "email": "ada@example.com"}),
            await client.post("/v1/emails", json={"to": "a@b.test", "subject": "Hello", "text": "Good"}),
            await client.get("/v1/users/01928f3c-0000-7000-8000-000000000000"),
            await client.get("/v1/events/01928f3c-0000-7000-8000-000000000000"),
        ]
        ready, live = await client.get("/readyz"), await client.get("/livez")

    for answer in answers:
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/unavailable")
        assert int(answer.headers["retry-after"]) >= 1
        assert "Postgres" in answer.json()["detail"]
    assert (ready.status_code, live.status_code) == (503, 200)
    assert ready.json()["checks"]["postgres"] != "ok"


async def test_a_database_that_is_not_migrated_is_no_500(settings: GatewaySettings) -> None:
    other = Secret(settings.database_url.get_secret_value().rpartition("/")[0] + "/postgres")
    async with served(settings.model_copy(update={"database_url": other})) as client:
        answer = await client.post("/v1/users", json={"name": "Ada", "email": "ada@example.com"})
        ready = await client.get("/readyz")

    assert answer.status_code == 503
    assert ready.json()["checks"]["postgres"] == "not migrated"


async def test_metrics_tell_how_each_handler_stands(client: AsyncClient, redis: RedisClient) -> None:
    handler, other = "email.send", "email.send_welcome"
    for name, type_ in ((handler, "email.requested"), (other, "user.registered")):
        await Workers(redis).register(name, type_)
        await redis.xgroup_create(f"events:{type_}", name, "0", mkstream=True)
    for address in ("ada@example.com", "grace@example.com"):
        await client.post("/v1/emails", json={"to": address, "subject": "Hello", "text": "Hello."})

    async def both_lie_there() -> bool:
        return f'trunkline_handler_backlog{{handler="{handler}"}} 2.0' in (await client.get("/metrics")).text

    await until(both_lie_there)
    page = (await client.get("/metrics")).text
    assert f'trunkline_handler_backlog{{handler="{other}"}} 0.0' in page
    assert f'trunkline_handler_dead{{handler="{handler}"}} 0.0' in page
    assert f'trunkline_handler_workers{{handler="{handler}"}} 0.0' in page
    assert f'trunkline_handler_oldest_age_seconds{{handler="{handler}"}}' in page
    assert f'trunkline_handler_oldest_age_seconds{{handler="{other}"}}' not in page


async def test_metrics_count_requests_by_their_route(client: AsyncClient) -> None:
    await client.get("/v1/users/1")

    page = await client.get("/metrics")

    assert (
        'http_server_request_duration_seconds_count{method="GET",route="/v1/users/{user_id}",status="404"}'
        in page.text
    )
    assert "trunkline_relay_waiting 0.0" in page.text


def test_each_operation_is_documented_with_its_scope_and_its_problems(settings: GatewaySettings) -> None:
    document = create_app(settings).openapi()

    operations: list[tuple[str, dict[str, Any]]] = [
        (path, operation) for path, item in document["paths"].items() for operation in item.values()
    ]
    assert {"/v1/users", "/v1/emails", "/v1/events", "/v1/events/{event_id}"} <= {
        path for path, _ in operations
    }
    for path, operation in operations:
        assert operation["summary"], path
        assert operation["tags"], path
        if path.startswith("/v1"):
            assert operation["security"], path
            assert "application/problem+json" in operation["responses"]["401"]["content"], path
    assert document["components"]["securitySchemes"]["ApiKey"]["scheme"] == "bearer"
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_each_reference_in_the_document_leads_somewhere(settings: GatewaySettings) -> None:
    document = create_app(settings).openapi()

    def references(value: Any) -> list[str]:
        if isinstance(value, dict):
            own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
            return own + [one for inner in value.values() for one in references(inner)]
        return [one for inner in value for one in references(inner)] if isinstance(value, list) else []

    for reference in references(document):
        assert reference.rpartition("/")[2] in document["components"]["schemas"], reference
