"""The rules of stock: what was wanted and what was found on the shelves in, what is to be said of it out.

An order gets all that it wants or nothing. Stock is never below zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.contracts import (
    GoodsReceived,
    InventoryChanged,
    InventoryRejected,
    InventoryReserved,
    OrderCreated,
    Shortage,
    StockLine,
)
from shared.jobs import Reject

Reservation = tuple[InventoryReserved, *tuple[InventoryChanged, ...]]
"""An order has all that it wants, and so much is left of each sku."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """One sku of an order: how many were wanted and are there; `taken`: `available` is the rest."""

    sku: str
    wanted: int
    available: int
    version: int
    taken: bool


def decide(order: OrderCreated, shelves: Sequence[Shelf]) -> Reservation | InventoryRejected:
    """What becomes of the order: with each sku taken it is reserved, with none it is rejected."""
    if all(shelf.taken for shelf in shelves):
        lines = [StockLine(sku=shelf.sku, quantity=shelf.wanted) for shelf in shelves]
        reserved = InventoryReserved(order_id=order.order_id, lines=lines)
        return (reserved, *(_changed(shelf.sku, shelf.available, shelf.version) for shelf in shelves))
    shortages = [
        Shortage(sku=shelf.sku, wanted=shelf.wanted, available=shelf.available)
        for shelf in shelves
        if shelf.available < shelf.wanted
    ]
    return InventoryRejected(order_id=order.order_id, shortages=shortages, email=order.email, name=order.name)


def decide_again(order: OrderCreated, reserved: Sequence[StockLine]) -> InventoryReserved | Reject:
    """What becomes of an order that has a reservation already, by another event: nothing is taken twice."""
    wanted = {item.sku: item.quantity for item in order.items}
    if wanted == {line.sku: line.quantity for line in reserved}:
        return InventoryReserved(order_id=order.order_id, lines=list(reserved))
    known = ", ".join(f"{line.quantity} of {line.sku}" for line in reserved)
    return Reject(f"order {order.order_id} has other goods set aside already: {known}")


def received(goods: GoodsReceived, available: int, version: int) -> InventoryChanged:
    """So many can be ordered, now that the goods are on the shelf."""
    return _changed(goods.sku, available, version)


def below_zero(goods: GoodsReceived, available: int) -> Reject:
    """Why a correction cannot be: it takes more than there is."""
    return Reject(
        f"{goods.quantity} of {goods.sku} cannot be booked: {available} are available, "
        f"{available + goods.quantity} would be left"
    )


def _changed(sku: str, available: int, version: int) -> InventoryChanged:
    return InventoryChanged(sku=sku, available=available, version=version)
