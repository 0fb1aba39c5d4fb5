"""What becomes of a message to the warehouse: told, told again by its schedule, given up."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from standardwebhooks import Webhook as Verifier

from inventory_service.egress import Egress
from inventory_service.handlers import handlers
from inventory_service.webhook import Endpoint, Webhook
from shared.contracts import InventoryReserved, StockLine, WarehouseNotified, wrap
from shared.jobs import Death, State
from shared.settings import Secret
from shared.telemetry import Tracing, new_traceparent, trace_id_of
from shared.testing import Ran, Run, StillClock
from tests.conformance.conftest import MakeLab
from tests.inventory_service.conftest import Inventory, order, running
from tests.inventory_service.receiver import OK, Answer, Receiver, receiving, status
from tests.until import until

SECRET = "whsec_" + "A" * 43 + "="
RESERVED = InventoryReserved(order_id="order-1", lines=[StockLine(sku="cup", quantity=3)])


@asynccontextmanager
async def warehouse(*answers: Answer) -> AsyncGenerator[tuple[Webhook, Receiver]]:
    async with receiving(*answers) as receiver:
        endpoint = Endpoint(url=httpx.URL(receiver.url), secrets=(SECRET,), egress=Egress.parse("127.0.0.1"))
        async with Webhook(endpoint, tracing=Tracing()) as webhook:
            yield webhook, receiver


async def told(webhook: Webhook, *, attempt: int = 1, age: timedelta = timedelta(0)) -> tuple[Ran, timedelta]:
    """The job after this attempt, and its wait for the next."""
    run = Run(handlers, clock=StillClock(datetime.now(UTC) - age))
    ran = await run(RESERVED, attempt=attempt, warehouse=webhook)
    return ran, (ran.due_at or run.now) - run.now


async def test_each_attempt_has_the_same_id_and_says_how_many_there_were() -> None:
    async with warehouse(status(500), status(202)) as (webhook, receiver):
        run = Run(handlers)
        envelope = wrap(RESERVED, source="/test")
        await run(envelope, attempt=1, warehouse=webhook)
        ran = await run(envelope, attempt=2, warehouse=webhook)

    assert ran.state is State.SUCCEEDED
    assert ran.caused == (WarehouseNotified(order_id="order-1", status_code=202, attempts=2),)
    assert {request.headers["webhook-id"] for request in receiver.requests} == {envelope.id}


@pytest.mark.parametrize(
    ("attempt", "wait"),
    [(1, timedelta(seconds=5)), (2, timedelta(minutes=5)), (5, timedelta(hours=5)), (9, timedelta(hours=24))],
)
async def test_what_fails_is_retried_by_the_schedule_that_the_standard_recommends(
    attempt: int, wait: timedelta
) -> None:
    async with warehouse(status(500)) as (webhook, _):
        ran, waits = await told(webhook, attempt=attempt)

    assert (ran.state, ran.attempt) == (State.RETRYING, attempt)
    assert wait <= waits <= wait * 1.1


async def test_after_ten_attempts_it_is_given_up() -> None:
    async with warehouse(status(500)) as (webhook, _):
        ran, _ = await told(webhook, attempt=10)

    assert (ran.state, ran.reason) == (State.DEAD, Death.EXHAUSTED)
    assert (ran.error or {})["message"] == "warehouse answered 500"


async def test_a_warehouse_that_wants_no_more_is_asked_no_more() -> None:
    async with warehouse(status(410)) as (webhook, _):
        ran, _ = await told(webhook)

    assert (ran.state, ran.reason) == (State.DEAD, Death.NON_RETRYABLE)
    assert "410: it wants no more messages" in (ran.error or {})["message"]


@pytest.mark.parametrize("code", [429, 503])
async def test_a_busy_warehouse_is_asked_when_it_says_and_that_costs_no_attempt(code: int) -> None:
    async with warehouse(status(code, "retry-after: 120")) as (webhook, _):
        ran, waits = await told(webhook)

    assert (ran.state, ran.attempt, waits) == (State.RETRYING, 0, timedelta(minutes=2))


async def test_a_warehouse_that_is_busy_for_a_day_costs_attempts() -> None:
    async with warehouse(status(503, "retry-after: 120")) as (webhook, _):
        ran, _ = await told(webhook, age=timedelta(hours=25))

    assert (ran.state, ran.attempt) == (State.RETRYING, 1)


async def test_without_a_warehouse_nobody_is_told_and_the_job_says_so() -> None:
    async with Webhook(None, tracing=Tracing()) as webhook:
        ran, _ = await told(webhook)

    assert (ran.state, ran.result) == (State.SUCCEEDED, "nobody is told: WAREHOUSE_URL is not set")


async def test_an_order_comes_to_the_warehouse(
    make_lab: MakeLab, database_url: str, engine: AsyncEngine
) -> None:
    """From the event of the order, over both handlers, to a receiver that verifies it."""
    lab = await make_lab()
    async with (
        receiving(OK) as receiver,
        running(
            lab,
            database_url,
            warehouse_url=Secret(receiver.url),
            warehouse_secret=Secret(SECRET),
            warehouse_allow="127.0.0.0/8",
        ) as settings,
    ):
        inventory = Inventory(lab, engine, settings)
        await inventory.stocked(cup=10)
        created = wrap(order("order-1", cup=3), source="/lab", traceparent=new_traceparent())
        job = await inventory.reserve(created)

        async def arrived() -> bool:
            return bool(receiver.requests)

        await until(arrived, what="the webhook")

    (request,) = receiver.requests
    message = Verifier(SECRET).verify(request.body, request.headers)
    assert message["data"] == {"order_id": "order-1", "lines": [{"sku": "cup", "quantity": 3}]}
    assert request.headers["webhook-id"] == job.caused[0]["id"]
    assert trace_id_of(request.headers["traceparent"]) == job.trace_id is not None
