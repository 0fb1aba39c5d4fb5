"""The read model: events in any order and number, the same rows."""

from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from report_service.handlers import handlers
from report_service.read_model import ReadModel
from shared.contracts import (
    Event,
    InventoryRejected,
    InventoryReserved,
    Shortage,
    StockLine,
    UserRegistered,
    wrap,
)
from shared.jobs import State
from shared.testing import Run
from tests.report_service.conftest import MUG, TEA, at, order

ORDER = order("o-1", "u1", (TEA, 2, 450), (MUG, 1, 1299))
RESERVED = InventoryReserved(order_id="o-1", lines=[StockLine(sku=TEA, quantity=2)])
REJECTED = InventoryRejected(order_id="o-1", shortages=[Shortage(sku=TEA, wanted=2, available=0)])


async def rows(engine: AsyncEngine, statement: str) -> list[dict[str, Any]]:
    async with engine.connect() as connection:
        return [dict(row) for row in (await connection.execute(text(statement))).mappings()]


async def everything(engine: AsyncEngine) -> list[list[dict[str, Any]]]:
    return [
        await rows(engine, "SELECT * FROM report.users ORDER BY user_id"),
        await rows(engine, "SELECT * FROM report.orders ORDER BY order_id"),
        await rows(engine, "SELECT * FROM report.order_items ORDER BY order_id, line"),
    ]


async def test_the_events_of_an_order_leave_the_same_rows_in_any_order_and_any_number(
    engine: AsyncEngine,
) -> None:
    model, run = ReadModel(engine), Run(handlers)
    said: list[tuple[Event, int]] = [
        (UserRegistered(user_id="u1", name="Ada", email="ada@example.com"), 1),
        (ORDER, 2),
        (RESERVED, 3),
    ]
    left: list[Any] = []

    for way in permutations(said):
        async with engine.begin() as connection:
            await connection.execute(text("TRUNCATE report.users, report.orders, report.order_items"))
        for event, hour in (*way, *reversed(way)):
            envelope = wrap(event, source="/test", now=at(1, hour))
            job = await run(envelope, read_model=model)
            assert job.state == State.SUCCEEDED
        left.append(await everything(engine))

    assert all(one == left[0] for one in left)
    users, [found], items = left[0]
    assert [user["name"] for user in users] == ["Ada"]
    assert (found["status"], found["total_cents"], found["ordered_at"]) == ("confirmed", 2199, at(1, 2))
    assert [(item["line"], item["sku"], item["quantity"]) for item in items] == [(1, TEA, 2), (2, MUG, 1)]


async def test_an_order_without_a_decision_is_pending(engine: AsyncEngine) -> None:
    await Run(handlers)(ORDER, read_model=ReadModel(engine))

    assert [row["status"] for row in await rows(engine, "SELECT status FROM report.orders")] == ["pending"]


@pytest.mark.parametrize("late_first", [False, True])
async def test_of_two_decisions_the_later_one_stands(engine: AsyncEngine, *, late_first: bool) -> None:
    model, run = ReadModel(engine), Run(handlers)
    decisions = [wrap(RESERVED, source="/t", now=at(1, 1)), wrap(REJECTED, source="/t", now=at(1, 2))]

    for envelope in reversed(decisions) if late_first else decisions:
        await run(envelope, read_model=model)

    assert [row["status"] for row in await rows(engine, "SELECT status FROM report.orders")] == ["rejected"]


async def test_a_decision_alone_shows_in_no_report(engine: AsyncEngine) -> None:
    await Run(handlers)(RESERVED, read_model=ReadModel(engine))

    assert await rows(engine, "SELECT * FROM report.orders WHERE ordered_at >= '1970-01-01'") == []
