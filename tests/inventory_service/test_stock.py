"""The rules of stock, without a database."""

from inventory_service.stock import Shelf, below_zero, decide, decide_again
from shared.contracts import GoodsReceived, InventoryChanged, InventoryRejected, InventoryReserved, StockLine
from shared.jobs import Reject
from tests.inventory_service.conftest import order

ORDER = order("order-1", cup=3, plate=2)


def test_what_was_taken_is_reserved_and_what_is_left_is_told_with_its_version() -> None:
    shelves = [Shelf("cup", 3, 7, 2, taken=True), Shelf("plate", 2, 0, 9, taken=True)]

    told = decide(ORDER, shelves)

    assert told == (
        InventoryReserved(
            order_id="order-1",
            lines=[StockLine(sku="cup", quantity=3), StockLine(sku="plate", quantity=2)],
        ),
        InventoryChanged(sku="cup", available=7, version=2),
        InventoryChanged(sku="plate", available=0, version=9),
    )


def test_only_what_is_short_is_named() -> None:
    shelves = [Shelf("cup", 3, 3, 2, taken=False), Shelf("plate", 2, 1, 9, taken=False)]

    rejected = decide(ORDER, shelves)

    assert isinstance(rejected, InventoryRejected)
    assert [(short.sku, short.wanted, short.available) for short in rejected.shortages] == [("plate", 2, 1)]
    assert (rejected.email, rejected.name) == (ORDER.email, ORDER.name)


def test_the_same_order_again_has_its_reservation_in_any_order_of_lines() -> None:
    before = [StockLine(sku="plate", quantity=2), StockLine(sku="cup", quantity=3)]

    assert decide_again(ORDER, before) == InventoryReserved(order_id="order-1", lines=before)


def test_another_order_of_the_same_id_is_refused() -> None:
    refused = decide_again(ORDER, [StockLine(sku="cup", quantity=3)])

    assert refused == Reject("order order-1 has other goods set aside already: 3 of cup")


def test_a_correction_below_zero_is_told_with_its_numbers() -> None:
    refused = below_zero(GoodsReceived(sku="cup", quantity=-7), 6)

    assert refused.reason == "-7 of cup cannot be booked: 6 are available, -1 would be left"
