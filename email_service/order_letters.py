"""What customers are told of an order: the event in, a letter out; nothing here does I/O."""

from email_service.mail import Letter
from email_service.money import money
from shared.contracts import Address, InventoryRejected, OrderCreated

_ANYBODY = "customer"


def confirmation(event: OrderCreated, *, email_id: str) -> Letter:
    """We have the order; whether all of it is in stock is not known yet."""
    return Letter(
        email_id=email_id,
        to=event.email,
        to_name=event.name or "",
        template="order_confirmation",
        fields={
            "name": event.name or _ANYBODY,
            "order_id": event.order_id,
            "items": [
                {
                    "name": item.name or item.sku,
                    "sku": item.sku,
                    "quantity": item.quantity,
                    "unit_price": money(item.unit_price_cents, event.currency),
                    "price": money(item.quantity * item.unit_price_cents, event.currency),
                }
                for item in event.items
            ],
            "total": money(event.total_cents, event.currency),
        },
    )


def rejection(event: InventoryRejected, *, to: Address, email_id: str) -> Letter:
    """We cannot send the order, and why."""
    return Letter(
        email_id=email_id,
        to=to,
        to_name=event.name or "",
        template="order_rejection",
        fields={
            "name": event.name or _ANYBODY,
            "order_id": event.order_id,
            "shortages": [
                {"sku": shortage.sku, "wanted": shortage.wanted, "available": shortage.available}
                for shortage in event.shortages
            ],
        },
    )
