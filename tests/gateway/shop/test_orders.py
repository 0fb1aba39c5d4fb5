"""Orders: placed with their event in one commit, decided once by the inventory, read by their state."""

import asyncio

from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.handlers import reject_order, update_order
from gateway.settings import GatewaySettings
from launcher.ports import free_port
from shared.bus import Bus
from shared.contracts import (
    InventoryRejected,
    InventoryReserved,
    OrderCreated,
    OrderItem,
    Shortage,
    StockLine,
    new_id,
    wrap,
)
from shared.jobs import Handlers
from shared.service import Service
from shared.settings import Secret
from shared.telemetry import Metrics, Tracing
from tests.gateway.door.conftest import served
from tests.gateway.shop.conftest import Query, a_job, a_product, a_user, an_order, pointers
from tests.until import until

SHORTAGES = [Shortage(sku="TEA-100", wanted=2, available=1)]


def reserved(order_id: str) -> InventoryReserved:
    return InventoryReserved(order_id=order_id, lines=[StockLine(sku="TEA-100", quantity=2)])


def rejected(order_id: str) -> InventoryRejected:
    return InventoryRejected(order_id=order_id, shortages=SHORTAGES)


async def test_an_order_and_its_event_are_one_commit_at_the_prices_of_the_catalogue(
    client: AsyncClient, query: Query
) -> None:
    user_id = await a_user(client)
    await a_product(client, "TEA-100", name="Tea", unit_price_cents=450)
    await a_product(client, "CUP", name="Cup", unit_price_cents=1200)
    wanted = [
        {"sku": "TEA-100", "quantity": 2},
        {"sku": "CUP", "quantity": 1},
        {"sku": "TEA-100", "quantity": 1},
    ]

    answer = await client.post("/v1/orders", json={"user_id": user_id.upper(), "items": wanted})

    assert (answer.status_code, answer.headers["retry-after"]) == (202, "1")
    order = answer.json()
    assert answer.headers["location"] == f"/v1/orders/{order['id']}"
    assert (order["status"], order["total_cents"], order["currency"]) == ("pending", 3 * 450 + 1200, "EUR")
    [row] = await query(
        "SELECT data FROM gateway.events JOIN gateway.orders ON events.id = event_id"
        " WHERE type = 'order.created' AND accepted_at = created_at",  # now() is that of the transaction
    )
    assert OrderCreated.model_validate_json(row["data"]) == OrderCreated(
        order_id=order["id"],
        user_id=user_id,
        email="ada@example.com",
        name="Ada Lovelace",
        currency="EUR",
        items=[
            OrderItem(sku="TEA-100", name="Tea", quantity=3, unit_price_cents=450),
            OrderItem(sku="CUP", name="Cup", quantity=1, unit_price_cents=1200),
        ],
        total_cents=2550,
    )


async def test_an_order_that_cannot_be_placed_leaves_nothing_and_names_the_place(
    client: AsyncClient, query: Query
) -> None:
    user_id = await a_user(client)
    await a_product(client)
    await a_product(client, "GOLD", unit_price_cents=10**12)
    tea = {"sku": "TEA-100", "quantity": 1}
    refusals = [
        ({"user_id": new_id(), "items": [tea]}, "unknown-user", ["#/user_id"]),
        ({"user_id": "nobody", "items": [tea]}, "unknown-user", ["#/user_id"]),
        ({"user_id": "\0", "items": [tea]}, "unknown-user", ["#/user_id"]),
        (
            {"user_id": user_id, "items": [{"sku": "X", "quantity": 1}, tea, {"sku": "Y", "quantity": 1}]},
            "unknown-sku",
            ["#/items/0/sku", "#/items/2/sku"],
        ),
        ({"user_id": user_id, "items": []}, "invalid", ["#/items"]),
        ({"user_id": user_id, "items": [tea] * 101}, "invalid", ["#/items"]),
        ({"user_id": user_id, "items": [{**tea, "quantity": 0}]}, "invalid", ["#/items/0/quantity"]),
        ({"user_id": user_id, "items": [{**tea, "quantity": "2"}]}, "invalid", ["#/items/0/quantity"]),
        ({"user_id": user_id, "items": [{**tea, "price": 1}]}, "invalid", ["#/items/0/price"]),
        (
            {"user_id": user_id, "items": [tea, {**tea, "quantity": 1_000_000}]},
            "invalid",
            ["#/items/1/quantity"],
        ),
        ({"user_id": user_id, "items": [{"sku": "GOLD", "quantity": 2}]}, "invalid", ["#/items"]),
        ({"items": [tea]}, "invalid", ["#/user_id"]),
    ]

    for body, kind, places in refusals:
        answer = await client.post("/v1/orders", json=body)

        problem = answer.json()
        assert (answer.status_code, problem["type"], pointers(problem)) == (422, f"/problems/{kind}", places)
    assert not await query("SELECT FROM gateway.orders")
    assert not await query("SELECT FROM gateway.events WHERE type = 'order.created'")


async def test_a_repeated_request_with_an_idempotency_key_places_one_order(
    client: AsyncClient, query: Query
) -> None:
    user_id = await a_user(client)
    await a_product(client)
    body = {"user_id": user_id, "items": [{"sku": "TEA-100", "quantity": 2}]}
    key = {"Idempotency-Key": "order-1"}

    first = await client.post("/v1/orders", json=body, headers=key)
    await a_product(client, unit_price_cents=999)
    second = await client.post("/v1/orders", json=body, headers=key)

    assert (second.status_code, second.content) == (202, first.content)
    assert len(await query("SELECT FROM gateway.orders")) == 1


async def test_an_order_is_decided_once_whatever_comes_later(
    client: AsyncClient, engine: AsyncEngine
) -> None:
    order = await an_order(client)
    yes, no = reserved(order["id"]), rejected(order["id"])

    told = [
        await update_order(yes, a_job(yes, "gateway.update_order"), engine),
        await update_order(yes, a_job(yes, "gateway.update_order"), engine),
        await reject_order(no, a_job(no, "gateway.reject_order"), engine),
    ]

    assert [(one["status"], one["changed"]) for one in told] == [
        ("confirmed", True),
        ("confirmed", False),
        ("confirmed", False),
    ]
    found = (await client.get(f"/v1/orders/{order['id']}")).json()
    assert (found["status"], found["shortages"]) == ("confirmed", None)
    assert found["decided_at"] is not None


async def test_of_two_decisions_at_once_one_stands(client: AsyncClient, engine: AsyncEngine) -> None:
    order = await an_order(client)
    yes, no = reserved(order["id"]), rejected(order["id"])

    told = await asyncio.gather(
        update_order(yes, a_job(yes, "gateway.update_order"), engine),
        reject_order(no, a_job(no, "gateway.reject_order"), engine),
    )

    assert sorted(one["changed"] for one in told) == [False, True]
    assert told[0]["status"] == told[1]["status"]


async def test_a_decision_about_an_order_of_somebody_else_is_no_failure(engine: AsyncEngine) -> None:
    for order_id in (new_id(), "no-uuid", "4711"):
        event = reserved(order_id)

        told = await update_order(event, a_job(event, "gateway.update_order"), engine)

        assert told == {"order_id": order_id, "status": None, "changed": False}


async def test_the_gateway_takes_decisions_from_the_bus_and_tells_why_an_order_was_rejected(
    client: AsyncClient, settings: GatewaySettings
) -> None:
    order = await an_order(client)
    seen = (await client.get(f"/v1/orders/{order['id']}")).headers
    event = rejected(order["id"])
    async with Bus.open(settings, tracing=Tracing(), metrics=Metrics(service="test", version="1")) as bus:
        await bus.publish([wrap(event, source="/trunkline/inventory")])

    async def decided() -> bool:
        answer = await client.get(f"/v1/orders/{order['id']}", headers={"If-None-Match": seen["etag"]})
        return answer.status_code == 200

    await until(decided)
    answer = await client.get(f"/v1/orders/{order['id']}")
    assert answer.json()["status"] == "rejected"
    assert answer.json()["shortages"] == [{"sku": "TEA-100", "wanted": 2, "available": 1}]
    assert (seen["retry-after"], "retry-after" in answer.headers) == ("1", False)


async def test_an_order_can_be_waited_for_until_the_inventory_has_decided(
    client: AsyncClient, settings: GatewaySettings
) -> None:
    inventory = Handlers("inventory")

    @inventory.on(OrderCreated)
    async def reserve_stock(event: OrderCreated) -> InventoryReserved:  # pyright: ignore[reportUnusedFunction] - registered
        return reserved(event.order_id)

    service = Service("inventory", inventory, settings)
    await service.start()
    try:
        user_id = await a_user(client)
        await a_product(client)
        body = {"user_id": user_id, "items": [{"sku": "TEA-100", "quantity": 2}]}
        placed = await client.post("/v1/orders", json=body, headers={"Prefer": "wait=20"})
        answer = await client.get(placed.headers["location"], params={"wait": "20"})
    finally:
        await service.stop()

    assert placed.headers["preference-applied"] == "wait=20"
    assert [job["state"] for job in placed.json()["jobs"]] == ["succeeded"]
    assert answer.json()["status"] == "confirmed"


async def test_orders_are_listed_newest_first_by_user_and_state(
    client: AsyncClient, engine: AsyncEngine
) -> None:
    first = await an_order(client)
    grace = await a_user(client, "grace@example.com")
    body = {"user_id": grace, "items": [{"sku": "TEA-100", "quantity": 1}]}
    second, third = [(await client.post("/v1/orders", json=body)).json() for _ in range(2)]
    event = reserved(second["id"])
    await update_order(event, a_job(event, "gateway.update_order"), engine)

    async def listed(**wanted: str) -> list[str]:
        ids: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            page = (await client.get("/v1/orders", params={"limit": "1", **wanted, **cursor})).json()
            ids += [order["id"] for order in page["items"]]
            if page["next"] is None:
                return ids
            cursor = {"cursor": page["next"]}

    assert await listed() == [third["id"], second["id"], first["id"]]
    assert await listed(user_id=grace) == [third["id"], second["id"]]
    assert await listed(status="pending") == [third["id"], first["id"]]
    assert await listed(status="confirmed", user_id=grace) == [second["id"]]
    for wrong in ({"cursor": "x"}, {"status": "lost"}, {"user_id": "x"}, {"limit": 0}):
        answer = await client.get("/v1/orders", params=wrong)
        assert (answer.status_code, pointers(answer.json())) == (422, [f"#/{next(iter(wrong))}"])
    missing = await client.get("/v1/orders/no-uuid")
    assert (missing.status_code, missing.json()["type"]) == (404, "/problems/not-found")


async def test_users_are_listed_newest_first(client: AsyncClient) -> None:
    ids = [await a_user(client, f"{name}@example.com") for name in ("ada", "bob", "eve")]

    first = (await client.get("/v1/users", params={"limit": 2})).json()
    rest = (await client.get("/v1/users", params={"limit": 2, "cursor": first["next"]})).json()

    assert [user["id"] for user in first["items"] + rest["items"]] == ids[::-1]
    assert rest["next"] is None


async def test_orders_are_accepted_while_the_buses_are_away_from_the_start(
    settings: GatewaySettings, query: Query
) -> None:
    nobody = Secret(f"redis://127.0.0.1:{free_port()}/0")
    async with served(settings.model_copy(update={"redis_url": nobody})) as client:
        order = await an_order(client)

        assert (await client.get(f"/v1/orders/{order['id']}")).json()["status"] == "pending"
        assert (await client.get("/livez")).status_code == 200
    [row] = await query("SELECT count(*) FROM gateway.events WHERE published_at IS NULL")
    assert row[0] == 2
