"""The catalogue: what is put in is found, bad input names its place, goods become an event."""

from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.shop.products import project
from shared.bus.redis_streams import RedisClient
from shared.contracts import GoodsReceived, InventoryChanged
from tests.gateway.shop.conftest import Query, a_product, pointers
from tests.until import until

TEA: dict[str, object] = {"name": "Tea, 100 g", "unit_price_cents": 450}


async def test_a_product_is_new_once_and_changed_from_then_on(client: AsyncClient) -> None:
    first = await client.put("/v1/products/TEA-100", json=TEA)
    same = await client.put("/v1/products/TEA-100", json=TEA)
    dearer = await client.put("/v1/products/TEA-100", json={**TEA, "unit_price_cents": 500})

    assert [first.status_code, same.status_code, dearer.status_code] == [201, 200, 200]
    assert first.headers["location"] == "/v1/products/TEA-100"
    assert first.headers["etag"] == same.headers["etag"] != dearer.headers["etag"]
    found = (await client.get("/v1/products/TEA-100")).json()
    assert found == dearer.json()
    assert (found["name"], found["unit_price_cents"], found["available"]) == ("Tea, 100 g", 500, 0)


async def test_a_change_is_refused_to_who_has_not_seen_the_last_one(client: AsyncClient) -> None:
    seen = (await client.put("/v1/products/TEA-100", json=TEA)).headers["etag"]
    await client.put("/v1/products/TEA-100", json={**TEA, "unit_price_cents": 500})

    late = await client.put("/v1/products/TEA-100", json=TEA, headers={"If-Match": seen})
    nothing = await client.put("/v1/products/CUP", json=TEA, headers={"If-Match": "*"})
    again = await client.put("/v1/products/TEA-100", json=TEA, headers={"If-None-Match": "*"})

    for answer in (late, nothing, again):
        assert (answer.status_code, answer.json()["type"]) == (412, "/problems/precondition-failed")
    assert (await client.get("/v1/products/TEA-100")).json()["unit_price_cents"] == 500
    assert (await client.get("/v1/products/CUP")).status_code == 404


async def test_stock_that_comes_and_goes_does_not_stand_against_a_change(
    client: AsyncClient, engine: AsyncEngine
) -> None:
    seen = (await client.put("/v1/products/TEA-100", json=TEA)).headers["etag"]
    await project(engine, InventoryChanged(sku="TEA-100", available=7, version=1))

    now = await client.get("/v1/products/TEA-100", headers={"If-None-Match": seen})
    changed = await client.put(
        "/v1/products/TEA-100", json={**TEA, "unit_price_cents": 1}, headers={"If-Match": seen}
    )

    assert (now.status_code, now.json()["available"]) == (200, 7)
    assert changed.status_code == 200
    known = await client.get("/v1/products/TEA-100", headers={"If-None-Match": changed.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")


MISFITS: list[tuple[str, dict[str, object], str]] = [
    ("TEA", {"name": " ", "unit_price_cents": 1}, "#/name"),
    ("TEA", {"name": "a\nb", "unit_price_cents": 1}, "#/name"),
    ("TEA", {"name": "Tea"}, "#/unit_price_cents"),
    ("TEA", {"name": "Tea", "unit_price_cents": -1}, "#/unit_price_cents"),
    ("TEA", {"name": "Tea", "unit_price_cents": "1"}, "#/unit_price_cents"),
    ("TEA", {"name": "Tea", "unit_price_cents": 1.5}, "#/unit_price_cents"),
    ("TEA", {"name": "Tea", "unit_price_cents": 10**13}, "#/unit_price_cents"),
    ("TEA", {"name": "Tea", "unit_price_cents": 1, "available": 3}, "#/available"),
    ("-TEA", TEA, "#/sku"),
    ("T%20A", TEA, "#/sku"),
    ("T" * 65, TEA, "#/sku"),
]


async def test_a_product_that_does_not_fit_is_refused_with_its_place(client: AsyncClient) -> None:
    for path, body, pointer in MISFITS:
        answer = await client.put(f"/v1/products/{path}", json=body)

        assert (answer.status_code, pointers(answer.json())) == (422, [pointer]), (path, body)


async def test_the_catalogue_is_listed_page_by_page(client: AsyncClient) -> None:
    for sku in ("C", "a", "B", "A-2"):
        await a_product(client, sku)

    first = (await client.get("/v1/products", params={"limit": 3})).json()
    rest = (await client.get("/v1/products", params={"limit": 3, "cursor": first["next"]})).json()

    assert [product["sku"] for product in first["items"]] == ["A-2", "B", "C"]
    assert ([product["sku"] for product in rest["items"]], rest["next"]) == (["a"], None)
    wrong = await client.get("/v1/products", params={"cursor": "no cursor"})
    assert (wrong.status_code, pointers(wrong.json())) == (422, ["#/cursor"])


async def test_goods_that_came_in_are_an_event_to_the_inventory(
    client: AsyncClient, redis: RedisClient, query: Query
) -> None:
    await a_product(client)

    answer = await client.post("/v1/products/TEA-100/stock", json={"quantity": 50})

    assert (answer.status_code, answer.headers["retry-after"]) == (202, "1")
    assert answer.headers["location"] == f"/v1/events/{answer.json()['event_id']}"
    [row] = await query("SELECT data FROM gateway.events WHERE type = 'inventory.received'")
    assert GoodsReceived.model_validate_json(row["data"]) == GoodsReceived(sku="TEA-100", quantity=50)

    async def published() -> bool:
        return bool(await redis.xlen("events:inventory.received"))

    await until(published)


NO_GOODS: list[tuple[str, dict[str, object], int]] = [
    ("TEA-100", {"quantity": 0}, 422),
    ("TEA-100", {"quantity": 1_000_001}, 422),
    ("TEA-100", {"quantity": "1"}, 422),
    ("TEA-100", {}, 422),
    ("CUP", {"quantity": 1}, 404),
    ("%00", {"quantity": 1}, 404),
]


async def test_goods_that_cannot_be_are_refused(client: AsyncClient, query: Query) -> None:
    await a_product(client)

    for sku, body, status in NO_GOODS:
        answer = await client.post(f"/v1/products/{sku}/stock", json=body)

        assert answer.status_code == status, (sku, body)
    assert not await query("SELECT FROM gateway.events")


async def test_of_two_tellings_of_the_stock_the_one_with_the_higher_version_stands(
    client: AsyncClient, engine: AsyncEngine
) -> None:
    await a_product(client)

    told = [
        await project(engine, InventoryChanged(sku="TEA-100", available=available, version=version))
        for available, version in ((9, None), (5, 2), (8, 1), (5, 2), (7, None), (4, 3))
    ]

    assert told == [True, True, False, False, False, True]
    assert (await client.get("/v1/products/TEA-100")).json()["available"] == 4
