"""What the inventory says: stock is set aside for an order or short, it changed, the warehouse knows."""

from typing import Annotated, ClassVar

from pydantic import Field

from shared.contracts.event import Address, EntityId, Event, Name, Part
from shared.contracts.gateway import Quantity, Sku

Available = Annotated[int, Field(ge=0)]


class StockLine(Part):
    """So many of one product are set aside for the order."""

    sku: Sku
    quantity: Quantity


class Shortage(Part):
    """So many of one product were wanted, so many are there; a sku nobody knows has none."""

    sku: Sku
    wanted: Quantity
    available: Available


class InventoryReserved(Event):
    """All that the order wants is set aside."""

    type: ClassVar[str] = "inventory.reserved"

    order_id: EntityId
    lines: Annotated[list[StockLine], Field(min_length=1, max_length=100)]


class InventoryRejected(Event):
    """Not all that the order wants is there; nothing was set aside."""

    type: ClassVar[str] = "inventory.rejected"

    order_id: EntityId
    shortages: Annotated[list[Shortage], Field(min_length=1, max_length=100)]
    email: Address | None = None
    """Who ordered, to be told; None: nobody is."""
    name: Name | None = None


class InventoryChanged(Event):
    """So many of a product can be ordered now."""

    type: ClassVar[str] = "inventory.changed"

    sku: Sku
    available: Available
    version: Annotated[int, Field(ge=0)] | None = None
    """Counts the changes of this sku: of two that come out of order, the higher one is later."""


class WarehouseNotified(Event):
    """The warehouse's webhook took the order."""

    type: ClassVar[str] = "warehouse.notified"

    order_id: EntityId
    status_code: Annotated[int, Field(ge=100, le=599)]
    attempts: Annotated[int, Field(ge=1)]
