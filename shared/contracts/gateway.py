"""What the gateway says: there is a new user, order or file, goods came in, a report is wanted."""

from datetime import date
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from shared.contracts.event import Address, EntityId, Event, MediaType, Name, Part, Sha256, SizeBytes

Sku = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
"""A product's stock keeping unit: letters, digits, `.`, `_` and `-`."""

Quantity = Annotated[int, Field(ge=1, le=1_000_000)]
Cents = Annotated[int, Field(ge=0, le=10**12)]
"""An amount of money in the smallest unit of its currency."""

Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
"""ISO 4217."""

ReportKind = Literal["orders_summary", "sales_by_product", "customer_statement", "system_activity"]
ReportFormat = Literal["pdf", "xlsx", "csv", "json"]


class UserRegistered(Event):
    """Somebody has an account now."""

    type: ClassVar[str] = "user.registered"

    user_id: EntityId
    name: Name
    email: Address


class OrderItem(Part):
    """So many of one product, at the price of the moment of the order."""

    sku: Sku
    name: Name | None = None
    """What the catalogue called it then; None: the sku alone is known."""
    quantity: Quantity
    unit_price_cents: Cents


class OrderCreated(Event):
    """A customer wants to buy; whether there is enough is not known yet."""

    type: ClassVar[str] = "order.created"

    order_id: EntityId
    user_id: EntityId
    email: Address
    name: Name | None = None
    """How the customer is addressed; None: by the address alone."""
    currency: Currency
    items: Annotated[list[OrderItem], Field(min_length=1, max_length=100)]
    """Each sku once."""
    total_cents: Cents

    @model_validator(mode="after")
    def _sums_up(self) -> Self:
        if len({item.sku for item in self.items}) != len(self.items):
            raise ValueError("each sku stands once, with its whole quantity")
        if sum(item.quantity * item.unit_price_cents for item in self.items) != self.total_cents:
            raise ValueError("total_cents is not the sum of quantity * unit_price_cents")
        return self


class GoodsReceived(Event):
    """Goods came into the warehouse; a negative quantity is a correction, or goods that left otherwise."""

    type: ClassVar[str] = "inventory.received"

    sku: Sku
    quantity: Annotated[int, Field(ge=-1_000_000, le=1_000_000)]


class FileUploaded(Event):
    """A file lies in the object store under `files/<file_id>/content`."""

    type: ClassVar[str] = "file.uploaded"

    file_id: EntityId
    name: Name
    """As the client called it, its last path segment; never a path of ours."""
    media_type: MediaType
    """As the client says; what the file is, its bytes tell."""
    size_bytes: SizeBytes
    sha256: Sha256


class ReportRequested(Event):
    """Somebody wants a report about the days from first_day to last_day, both included."""

    type: ClassVar[str] = "report.requested"

    report_id: EntityId
    kind: ReportKind
    format: ReportFormat
    first_day: date
    last_day: date
    user_id: EntityId | None = None
    """Whose statement; given with `customer_statement`, and only with it."""
    email_to: Address | None = None
    """Who gets the report by mail as well."""
    copies_to: list[Address] = Field(default_factory=list, max_length=50)
    """Who else does."""

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        if self.last_day < self.first_day:
            raise ValueError("last_day is before first_day")
        if (self.user_id is not None) != (self.kind == "customer_statement"):
            raise ValueError("user_id belongs to a customer_statement, and to nothing else")
        return self
