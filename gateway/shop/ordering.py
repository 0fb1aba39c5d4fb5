"""The rules of an order: what a customer wants and the prices in, order.created or a refusal out; no I/O."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from gateway.door.problem_kinds import INVALID, UNKNOWN_SKU
from gateway.door.problems import Refused
from gateway.shop.orders import Customer, Price
from shared.contracts import OrderCreated, OrderItem, new_id
from shared.errors import Problem

# What the contract order.created allows.
_LARGEST_QUANTITY: Final = 1_000_000
_LARGEST_TOTAL_CENTS: Final = 10**12

Wanted = Sequence[tuple[str, int]]
"""Skus and quantities, as they stand under /items of the request."""


def quantities(wanted: Wanted) -> Mapping[str, int]:
    """How many of each sku, in the order in which they were first named; Refused for too many."""
    summed: Counter[str] = Counter()
    for place, (sku, quantity) in enumerate(wanted):
        summed[sku] += quantity
        if summed[sku] > _LARGEST_QUANTITY:
            raise _too_much(f"/items/{place}/quantity", f"with those above more than {_LARGEST_QUANTITY:,}")
    return summed


def refuse_unknown(wanted: Wanted, known: Mapping[str, Price]) -> None:
    """Refused where a sku is not in the catalogue, with the place of each."""
    errors = [
        Problem(f"/items/{place}/sku", f"no product has the sku {sku}")
        for place, (sku, _) in enumerate(wanted)
        if sku not in known
    ]
    if errors:
        raise Refused(UNKNOWN_SKU, errors[0].detail, errors=errors)


def created(
    user_id: str,
    customer: Customer,
    ordered: Mapping[str, int],
    prices: Mapping[str, Price],
    currency: str,
) -> OrderCreated:
    """The order as it is told, under a new id; Refused where its total is beyond what can be told."""
    items = [
        OrderItem(
            sku=sku,
            name=prices[sku].name,
            quantity=quantity,
            unit_price_cents=prices[sku].unit_price_cents,
        )
        for sku, quantity in ordered.items()
    ]
    total_cents = sum(item.quantity * item.unit_price_cents for item in items)
    if total_cents > _LARGEST_TOTAL_CENTS:
        raise _too_much("/items", f"the total is more than {_LARGEST_TOTAL_CENTS:,} cents")
    return OrderCreated(
        order_id=new_id(),
        user_id=user_id.lower(),
        email=customer.email,
        name=customer.name,
        currency=currency,
        items=items,
        total_cents=total_cents,
    )


def _too_much(pointer: str, why: str) -> Refused:
    return Refused(INVALID, f"{pointer[1:]}: {why}", errors=[Problem(pointer, why)])
