"""Goods come in, an order takes some, and the warehouse of the local system is told of it, signed."""

import asyncio
import json
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.e2e.conftest import Outside, System
from tests.until import until


async def accepted(outside: Outside, type_: str, data: dict[str, Any]) -> dict[str, Any]:
    event = {"specversion": "1.0", "id": str(uuid4()), "source": "/shop", "type": type_, "data": data}
    headers = {"Content-Type": "application/cloudevents+json"}
    answer = await outside.http.post("/v1/events", content=json.dumps(event), headers=headers)
    assert answer.status_code == 202, answer.text
    return answer.json()


async def final(outside: Outside, event: dict[str, Any], handler: str) -> dict[str, Any]:
    return await outside.final(f"{handler}:{event['event_id']}")


async def test_the_warehouse_is_told_of_an_order_that_is_reserved(system: System, outside: Outside) -> None:
    sku, order_id = f"cup-{uuid4().hex[:8]}", uuid4().hex
    item = {"sku": sku, "quantity": 3, "unit_price_cents": 250}
    order = {"order_id": order_id, "user_id": "7", "email": "ada@example.com", "currency": "EUR"}

    goods = await accepted(outside, "inventory.received", {"sku": sku, "quantity": 10})
    await final(outside, goods, "inventory.add_stock")
    created = await accepted(outside, "order.created", {**order, "items": [item], "total_cents": 750})
    job = await final(outside, created, "inventory.reserve_stock")

    async def told() -> list[dict[str, Any]]:
        lines = (await asyncio.to_thread(Path(system.state["warehouse"]).read_text)).splitlines()
        return [line for line in map(json.loads, lines) if line["message"]["data"]["order_id"] == order_id]

    (delivery,) = await until(told, what="the webhook")
    reserved, changed = job["result"]
    assert reserved == {"order_id": order_id, "lines": [{"sku": sku, "quantity": 3}]}
    assert delivery["message"]["data"] == reserved
    assert changed == {"sku": sku, "available": 7, "version": 2}
    notified = await outside.final(f"inventory.notify_warehouse:{delivery['id']}")
    assert notified["result"] == {"order_id": order_id, "status_code": 204, "attempts": 1}
    assert notified["trace_id"] == job["trace_id"]
