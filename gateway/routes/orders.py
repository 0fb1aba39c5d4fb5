"""Orders over HTTP: what a customer wants in, 202 with a pending order out; how it ended, later."""

import asyncio
from datetime import timedelta
from time import monotonic
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from fastapi import APIRouter, Header, Query, status
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from gateway.door.accepted import RETRY_AFTER, AcceptedJob, announced, json_response, of_event
from gateway.door.etags import etag_of, fresh_or_304
from gateway.door.json_body import documented_body, json_body
from gateway.door.keys import Scope, needs
from gateway.door.pages import Limit, json_answer
from gateway.door.problem_kinds import (
    BODY_TOO_LARGE,
    INVALID,
    MALFORMED_JSON,
    NOT_FOUND,
    UNKNOWN_SKU,
    UNKNOWN_USER,
    UNSUPPORTED_MEDIA_TYPE,
)
from gateway.door.problems import Refused, documented
from gateway.door.waiting import LONGEST_WAIT, preferred_wait
from gateway.history.live import LiveJobs
from gateway.parts import JobsDep, LedgerDep, LiveDep, OrdersDep, SettingsDep, TracingDep
from gateway.shop import ordering, orders
from gateway.shop.orders import Order, Orders, Status
from shared.clock import rfc3339
from shared.contracts import Quantity, Sku
from shared.errors import Problem

router = APIRouter(prefix="/v1/orders", tags=["orders"])

_FIRST_LOOK_S: Final = 0.05
_LAST_LOOK_S: Final = 1.0

_EXAMPLE: Final = {
    "user_id": "0192f0c1-7a3b-7cde-8f01-23456789abcd",
    "items": [{"sku": "TEA-100", "quantity": 2}, {"sku": "CUP", "quantity": 1}],
}


class WantedItem(BaseModel):
    """So many of one product."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    sku: Sku = Field(examples=["TEA-100"])
    quantity: Quantity = Field(examples=[2])


class NewOrder(BaseModel):
    """What a customer wants. The same sku twice counts together."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    user_id: str = Field(max_length=128, examples=["0192f0c1-7a3b-7cde-8f01-23456789abcd"])
    items: list[WantedItem] = Field(min_length=1, max_length=100)


class OrderedItem(BaseModel):
    """So many of one product, as the catalogue had it at the moment of the order."""

    sku: str
    name: str | None
    quantity: int
    unit_price_cents: int


class Lack(BaseModel):
    """Of this product more was wanted than there is."""

    sku: str
    wanted: int
    available: int


class OrderView(BaseModel):
    """An order: `pending` until the inventory has answered, then `confirmed` or `rejected` for ever."""

    id: str = Field(examples=["0192f0c1-7a3b-7cde-8f01-23456789abcd"])
    status: Status
    user_id: str
    items: list[OrderedItem]
    total_cents: int
    currency: str = Field(examples=["EUR"])
    shortages: list[Lack] | None = Field(description="Why it was rejected; null for any other order")
    created_at: str
    decided_at: str | None
    event_id: str


class PlacedOrder(OrderView):
    """An order that was placed just now, and what follows from it."""

    jobs: list[AcceptedJob]
    trace_id: str | None


class OrderPage(BaseModel):
    """Orders, newest first; `next` is the cursor of the next page, null on the last."""

    items: list[OrderView]
    next: str | None


@router.post(
    "",
    status_code=status.HTTP_202_ACCEPTED,
    dependencies=[needs(Scope.PUBLISH)],
    summary="Place an order",
    response_model=None,
    responses={
        202: {"model": PlacedOrder, "description": "Committed; Location says where to look next."},
        **documented(
            MALFORMED_JSON, BODY_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE, INVALID, UNKNOWN_USER, UNKNOWN_SKU
        ),
    },
    openapi_extra=documented_body(NewOrder, tea=_EXAMPLE),
)
async def place_order(
    *,
    wanted: Annotated[NewOrder, json_body(NewOrder)],
    ledger: LedgerDep,
    jobs: JobsDep,
    tracing: TracingDep,
    settings: SettingsDep,
) -> Response:
    """Place an order at the prices of this moment: the order and its event are one commit.

    It is pending then; the inventory decides.
    """
    items = [(item.sku, item.quantity) for item in wanted.items]
    quantities = ordering.quantities(items)
    async with ledger.transaction() as transaction:
        customer = await orders.customer(transaction.connection, wanted.user_id)
        if customer is None:
            raise Refused(
                UNKNOWN_USER, "no user has this id", errors=[Problem("/user_id", "no user has this id")]
            )
        prices = await orders.prices(transaction.connection, list(quantities))
        ordering.refuse_unknown(items, prices)
        created = ordering.created(wanted.user_id, customer, quantities, prices, settings.currency)
        event = announced(created, tracing)
        order = await orders.enter(transaction.connection, created, event_id=event.id)
        await transaction.write(event)
    _, expected, trace_id = await of_event(event, jobs)
    return json_response(
        _view(order) | {"jobs": expected, "trace_id": trace_id},
        status.HTTP_202_ACCEPTED,
        {"Location": f"/v1/orders/{order.id}", "Retry-After": RETRY_AFTER},
    )


@router.get(
    "",
    dependencies=[needs(Scope.READ)],
    summary="Orders",
    response_model=OrderPage,
    responses=documented(INVALID),
)
async def list_orders(
    *,
    found: OrdersDep,
    user_id: UUID | None = None,
    status: Status | None = None,
    cursor: Annotated[
        UUID | None, Query(description="`next` of the page before; the first page without.")
    ] = None,
    limit: Limit = 50,
) -> Response:
    """Orders, newest first; of one user, or in one state."""
    page, next_ = await found.page(
        user_id=str(user_id) if user_id else None,
        status=status,
        after=str(cursor) if cursor else None,
        limit=limit,
    )
    return json_answer({"items": [_view(order) for order in page], "next": next_})


@router.get(
    "/{order_id}",
    dependencies=[needs(Scope.READ)],
    summary="One order",
    response_model=None,
    responses={200: {"model": OrderView}, 304: {}, **documented(NOT_FOUND, INVALID)},
)
async def get_order(
    *,
    order_id: str,
    found: OrdersDep,
    live: LiveDep,
    wait: Annotated[
        float | None,
        Query(ge=0, le=LONGEST_WAIT.total_seconds(), description="Seconds to wait while it is pending."),
    ] = None,
    prefer: Annotated[list[str] | None, Header(description="`wait=N` as the parameter (RFC 7240).")] = None,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """How an order stands; one that is pending comes with Retry-After."""
    preferred = preferred_wait(prefer or []) or timedelta(0)
    limit = timedelta(seconds=wait) if wait is not None else preferred
    order = await _until_decided(order_id, found, live, limit)
    if order is None:
        raise Refused(NOT_FOUND, "no order has this id")
    body = msgspec.json.encode(_view(order))
    headers = {"Retry-After": RETRY_AFTER} if order.status == "pending" else None
    return fresh_or_304(body, etag_of(body), if_none_match, headers)


async def _until_decided(order_id: str, found: Orders, live: LiveJobs, limit: timedelta) -> Order | None:
    """The order when it is decided, the limit is over or the gateway is about to stop.

    Most are decided within milliseconds; who waits for longer looks less and less often.
    """
    ends_at = monotonic() + limit.total_seconds()
    pause_s = _FIRST_LOOK_S
    while True:
        order = await found.find(order_id)
        left_s = ends_at - monotonic()
        if order is None or order.status != "pending" or left_s <= 0 or live.is_stopped:
            return order
        await asyncio.sleep(min(pause_s, left_s))
        pause_s = min(pause_s * 2, _LAST_LOOK_S)


def _view(order: Order) -> dict[str, Any]:
    return {
        "id": order.id,
        "status": order.status,
        "user_id": order.user_id,
        "items": order.items,
        "total_cents": order.total_cents,
        "currency": order.currency,
        "shortages": order.shortages,
        "created_at": rfc3339(order.created_at),
        "decided_at": rfc3339(order.decided_at) if order.decided_at else None,
        "event_id": order.event_id,
    }
