"""Orders and goods as events, stock in Postgres: all or nothing, once, on both buses."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from shared.contracts import CleanupDue, Envelope, GoodsReceived, OrderCreated
from shared.jobs import JobRecord
from tests.conformance.conftest import Lab, all_of
from tests.inventory_service.conftest import Inventory, order, results


async def test_an_order_gets_all_it_wants_and_each_change_of_stock_is_told(inventory: Inventory) -> None:
    await inventory.stocked(cup=10, plate=5)

    job = await inventory.reserve(order("order-1", plate=5, cup=3))

    assert job.to_api()["result"] == [
        {
            "order_id": "order-1",
            "lines": [{"sku": "cup", "quantity": 3}, {"sku": "plate", "quantity": 5}],
        },
        {"sku": "cup", "available": 7, "version": 2},
        {"sku": "plate", "available": 0, "version": 2},
    ]
    assert [event["type"] for event in job.caused] == ["inventory.reserved", *["inventory.changed"] * 2]
    assert await inventory.available() == {"cup": 7, "plate": 0}
    assert await inventory.reserved() == [("order-1", "cup", 3), ("order-1", "plate", 5)]


async def test_an_order_that_is_short_of_one_thing_gets_nothing(inventory: Inventory) -> None:
    await inventory.stocked(cup=10, plate=1)

    job = await inventory.reserve(order("order-1", cup=3, plate=2, spoon=1))

    assert job.to_api()["result"] == {
        "order_id": "order-1",
        "shortages": [
            {"sku": "plate", "wanted": 2, "available": 1},
            {"sku": "spoon", "wanted": 1, "available": 0},
        ],
        "email": "ada@example.com",
        "name": "Ada Lovelace",
    }
    assert await inventory.available() == {"cup": 10, "plate": 1}
    assert await inventory.reserved() == []


async def test_a_correction_takes_goods_away_but_never_more_than_there_are(inventory: Inventory) -> None:
    await inventory.stocked(cup=10)
    lab = inventory.lab

    (less, too_much, of_nothing) = await lab.publish(
        *(GoodsReceived(sku=sku, quantity=n) for sku, n in {"cup": -4, "plate": 0, "spoon": -1}.items())
    )
    await lab.reaches("succeeded", "inventory.add_stock", less)
    await lab.reaches("succeeded", "inventory.add_stock", too_much)
    (refused,) = await lab.publish(GoodsReceived(sku="cup", quantity=-7))
    dead = [await lab.reaches("dead", "inventory.add_stock", one) for one in (refused, of_nothing)]

    assert [job.to_api()["error"]["message"] for job in dead] == [
        "-7 of cup cannot be booked: 6 are available, -1 would be left",
        "-1 of spoon cannot be booked: 0 are available, -1 would be left",
    ]
    assert await inventory.available() == {"cup": 6, "plate": 0}


async def publish_once_more(lab: Lab, envelope: Envelope) -> None:
    """The same event, after Redis forgot everything."""
    await lab.redis.flushall()
    if lab.bus_name == "nats":
        # JetStream drops a copy of the same message id: under another one it is the same event.
        headers = {"ce-id": envelope.id, "ce-source": envelope.source, "ce-type": envelope.type}
        subject = f"events.{envelope.type}"
        await lab.jetstream.publish(subject, envelope.data, headers=headers, timeout=5)
    else:
        await lab.bus.publish([envelope])


async def test_goods_and_orders_that_come_again_after_redis_lost_all_change_nothing_twice(
    inventory: Inventory,
) -> None:
    lab, seen = inventory.lab, list[JobRecord]()
    for handler, event in {
        "inventory.add_stock": GoodsReceived(sku="cup", quantity=10),
        "inventory.reserve_stock": order("order-1", cup=3),
    }.items():
        (envelope,) = await lab.publish(event)
        seen.append(await lab.reaches("succeeded", handler, envelope))
        await publish_once_more(lab, envelope)
        seen.append(await lab.reaches("succeeded", handler, envelope, within=30))

    # Without the inbox (engine.begin() for job.once) there are 17 cups.
    assert await inventory.available() == {"cup": 7}
    added, added_again, reserved, reserved_again = seen
    assert results([added, reserved]) == results([added_again, reserved_again])
    assert added.caused == added_again.caused
    assert reserved.caused == reserved_again.caused


async def test_an_order_that_is_told_by_two_events_is_reserved_once(inventory: Inventory) -> None:
    await inventory.stocked(cup=10)
    lab = inventory.lab

    told = await lab.publish(order("order-1", cup=3), order("order-1", cup=3))
    await all_of(lab, "succeeded", "inventory.reserve_stock", told)
    (other,) = await lab.publish(order("order-1", cup=4))
    dead = await lab.reaches("dead", "inventory.reserve_stock", other)

    assert await inventory.available() == {"cup": 7}
    message = dead.to_api()["error"]["message"]
    assert message == "order order-1 has other goods set aside already: 3 of cup"


async def test_orders_that_want_the_same_skus_crosswise_never_wait_for_each_other(
    inventory: Inventory,
) -> None:
    await inventory.stocked(cup=500, plate=500)
    orders: list[OrderCreated] = []
    for n in range(100):
        orders.append(order(f"there-{n}", cup=1, plate=1))
        orders.append(order(f"back-{n}", plate=1, cup=1))

    published = await inventory.lab.publish(*orders)
    await all_of(inventory.lab, "succeeded", "inventory.reserve_stock", published)
    jobs = [await inventory.lab.job("inventory.reserve_stock", envelope.id) for envelope in published]

    assert await inventory.available() == {"cup": 300, "plate": 300}
    assert {job.attempt for job in jobs if job is not None} == {1}, "no attempt died of a deadlock"


@pytest.mark.parametrize("bus_name", ["redis"])
async def test_the_cleanup_forgets_effects_that_no_job_can_ask_for_again(inventory: Inventory) -> None:
    await inventory.stocked(cup=1, plate=1)
    async with inventory.engine.begin() as connection:
        age = inventory.settings.dead_ttl + timedelta(days=8)
        await connection.execute(
            text("UPDATE inbox SET done_at = now() - CAST(:age AS interval) WHERE outcome::text ~ 'cup'"),
            {"age": age},
        )

    tick = CleanupDue(schedule="cleanup", tick=datetime.now(UTC))
    (due,) = await inventory.lab.publish(tick)
    job = await inventory.lab.reaches("succeeded", "inventory.cleanup", due)

    assert job.to_api()["result"] == {"inbox": 1}
