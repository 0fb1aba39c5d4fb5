"""GET /asyncapi.json: valid by FastStream's own models, every reference resolves, no password shows."""

from typing import Any, cast

import pytest
from faststream.specification.asyncapi.v3_0_0.schema import ApplicationSchema
from httpx import AsyncClient

from gateway.door.asyncapi import describe
from shared.bus import Routes
from shared.contracts import CATALOGUE
from shared.jobs import HandlerRecord
from tests.gateway.history.stand_in import WELCOME, Workers

HANDLER = HandlerRecord(
    name=WELCOME,
    service="email",
    event_type="user.registered",
    max_attempts=5,
    concurrency=64,
    time_limit_s=30,
    version="1",
    description="Send the welcome mail.",
    registered_at="2026-01-01T00:00:00Z",
)


def document(buses: str = "redis+nats") -> dict[str, Any]:
    return describe(
        CATALOGUE,
        {WELCOME: HANDLER},
        Routes.parse("email.*,user.*=redis;*=nats", buses),
        urls={"redis": "redis://me:secret@cache:6380/2", "nats": "nats://me:secret@n1:4222,nats://n2:4222"},
        version="1.2.3",
    )


def references(node: object) -> list[str]:
    """Every $ref within."""
    if isinstance(node, dict):
        inner = cast("dict[str, object]", node)
        own = [cast("str", inner["$ref"])] if "$ref" in inner else []
        return own + [ref for value in inner.values() for ref in references(value)]
    if isinstance(node, list):
        return [ref for value in cast("list[object]", node) for ref in references(value)]
    return []


def resolve(whole: dict[str, Any], reference: str) -> object:
    node: Any = whole
    for step in reference.removeprefix("#/").split("/"):
        node = node[step.replace("~1", "/").replace("~0", "~")]
    return node


@pytest.mark.parametrize("buses", ["redis+nats", "redis", "nats"])
def test_the_document_is_valid_and_every_reference_resolves(buses: str) -> None:
    whole = document(buses)

    schema = ApplicationSchema.model_validate(whole)

    assert schema.channels
    assert schema.operations
    for reference in references(whole):
        assert isinstance(resolve(whole, reference), dict), reference


def test_every_type_has_a_channel_on_every_bus_that_is_on() -> None:
    both, alone = document(), document("nats")

    assert set(both["channels"]) == {
        address for type_ in CATALOGUE.types for address in (f"events:{type_}", f"events.{type_}")
    }
    assert set(alone["channels"]) == {f"events.{type_}" for type_ in CATALOGUE.types}
    assert set(alone["servers"]) == {"nats"}


def test_a_handler_receives_on_every_bus_and_an_event_is_sent_by_its_route() -> None:
    operations = document()["operations"]

    assert operations[f"receive.redis.{WELCOME}"]["x-redis"] == {"group": WELCOME}
    assert operations[f"receive.nats.{WELCOME}"]["x-nats"] == {
        "stream": "EVENTS",
        "durable": "email_send_welcome",
    }
    assert operations["send.redis.user.registered"]["channel"] == {
        "$ref": "#/channels/events:user.registered"
    }
    assert "send.nats.user.registered" not in operations


def test_hosts_are_shown_and_credentials_are_not() -> None:
    whole = document()

    assert whole["servers"]["redis"]["host"] == "cache:6380"
    assert whole["servers"]["nats"]["host"] == "n1:4222"
    assert "secret" not in str(whole)


def test_the_messages_are_the_contracts() -> None:
    whole = document()

    message = whole["components"]["messages"]["user.registered"]
    payload = resolve(whole, message["payload"]["$ref"])

    assert cast("dict[str, Any]", payload)["required"] == ["user_id", "name", "email"]


async def test_the_document_is_served_to_everybody(client: AsyncClient, workers: Workers) -> None:
    await workers.register(WELCOME)

    answer = await client.get("/asyncapi.json", headers={"Authorization": ""})

    assert answer.status_code == 200
    assert f"receive.redis.{WELCOME}" in answer.json()["operations"]
