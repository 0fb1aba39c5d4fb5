"""The whole system at work: what the demo tells, what the load sends, and one trace of one order."""

from typing import Any
from uuid import uuid4

import pytest

from tests.e2e.conftest import Outside, System, trunkline
from tests.until import until

pytestmark = pytest.mark.timeout(300)  # a whole system is started, and a busy machine takes its time


def test_the_demo_tells_its_story_to_the_end(system: System) -> None:
    told = trunkline("demo", "--data", str(system.data), environment=system.environment)

    for line in (
        "is confirmed, 615.80",
        "is rejected: [{'sku': 'lamp', 'wanted': 50",
        "the warehouse answered",
        "200,000 rows of 6 columns",
        "bytes of PDF",
        "monitor.check_health",
        "What happened",
    ):
        assert line in told, told


def test_the_load_is_accepted_and_all_its_work_is_done(system: System) -> None:
    told = trunkline(
        "load", "--data", str(system.data), "--rate", "30", "--seconds", "3", environment=system.environment
    )

    assert "refused" not in told.rpartition("REQUEST")[2]


async def test_one_trace_tells_all_that_follows_from_an_order(system: System, outside: Outside) -> None:
    sku = f"lamp-{uuid4().hex[:8]}"
    await outside.http.put(f"/v1/products/{sku}", json={"name": "Lamp", "unit_price_cents": 4990})
    stocked = (await outside.http.post(f"/v1/products/{sku}/stock", json={"quantity": 5})).json()
    for job in stocked["jobs"]:
        await outside.final(job["id"])
    to = f"user.{uuid4().hex[:10]}@example.com"
    user = (await outside.http.post("/v1/users", json={"name": "Ada", "email": to})).json()

    answer = await outside.http.post(
        "/v1/orders", json={"user_id": user["id"], "items": [{"sku": sku, "quantity": 2}]}
    )
    monitor, trace_id = system.state["monitor"], answer.headers["x-trace-id"]

    async def names() -> list[str]:
        found = await outside.http.get(f"{monitor}/api/traces/{trace_id}")
        if not found.is_success:
            return []
        trace: dict[str, Any] = found.json()["data"][0]
        services = {key: process["serviceName"] for key, process in trace["processes"].items()}
        return [f"{services[span['processID']]}: {span['operationName']}" for span in trace["spans"]]

    async def whole() -> bool:
        missing = EXPECTED - set(await names())
        return not missing

    try:
        await until(whole, within=20, what="the whole trace")
    except AssertionError:
        raise AssertionError(EXPECTED - set(await names()), sorted(await names())) from None

    assert answer.status_code == 202
    assert {job["handler"] for job in answer.json()["jobs"]} >= {
        "email.send_order_confirmation",
        "inventory.reserve_stock",
        "report.record_order",
    }


EXPECTED = {
    "gateway: POST /v1/orders",
    "gateway: COMMIT gateway.events",
    "gateway: INSERT gateway.orders",
    "gateway: create order.created",
    "gateway: send events.order.created",
    "email: process events.order.created",
    "inventory: process events.order.created",
    "report: process events.order.created",
    "email: SMTP send",
    "inventory: create inventory.reserved",
    "gateway: process events.inventory.reserved",
    "inventory: process events.inventory.reserved",
    "inventory: POST",
    "inventory: send events.warehouse.notified",
}
