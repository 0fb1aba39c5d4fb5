"""A direct job: a handler's name and data in, a checked event that is for this handler alone out."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from shared.clock import rfc3339
from shared.contracts import (
    CATALOGUE,
    DELIVER_AT,
    EXPIRES_AT,
    HANDLER,
    UNIQUE_KEY,
    UNIQUE_UNTIL,
    Envelope,
    Event,
    envelope,
    new_id,
)
from shared.errors import InvalidData, Problem

UNIQUE_FOR = timedelta(hours=1)
"""How long a unique key stands when nothing else is said."""
UNIQUE_KEY_MAX = 255


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """When a direct job is to run, and what it must not run beside; ValueError when it makes no sense."""

    id: str | None = None
    """Makes it safe to enqueue again: the same id from the same source is one job. Else a new one is made."""
    deliver_at: datetime | None = None
    expires_at: datetime | None = None
    unique_key: str | None = None
    unique_for: timedelta = UNIQUE_FOR

    def __post_init__(self) -> None:
        for name in ("deliver_at", "expires_at"):
            instant = getattr(self, name)
            if instant is not None and instant.tzinfo is None:
                raise ValueError(f"{name} is {instant}; give an instant with its offset, e.g. in UTC")
        if self.deliver_at and self.expires_at and self.expires_at <= self.deliver_at:
            raise ValueError(f"expires_at is {self.expires_at}, not after deliver_at {self.deliver_at}")
        if self.id == "":
            raise ValueError("id is empty; give one, or None for a new one")
        if self.unique_key is not None and not is_unique_key(self.unique_key):
            raise ValueError(f"unique_key must be printable text of 1 to {UNIQUE_KEY_MAX} characters")
        if self.unique_for <= timedelta(0):
            raise ValueError(f"unique_for is {self.unique_for}; it must be longer than 0 s")


def is_unique_key(text: str) -> bool:
    """Whether the text can be a unique key."""
    return 0 < len(text) <= UNIQUE_KEY_MAX and text.isprintable()


def direct_event(
    handler: str, event_type: str, data: bytes, order: Order, *, source: str, traceparent: str | None = None
) -> Envelope:
    """The event of the job, its data not checked yet. EnvelopeError when the id can be none."""
    now = datetime.now(UTC)
    attributes = {
        "id": order.id or new_id(),
        "source": source,
        "type": event_type,
        "time": rfc3339(now),
        "datacontenttype": "application/json",
        HANDLER: handler,
    }
    if traceparent is not None:
        attributes["traceparent"] = traceparent
    if order.deliver_at is not None:
        attributes[DELIVER_AT] = rfc3339(order.deliver_at)
    if order.expires_at is not None:
        attributes[EXPIRES_AT] = rfc3339(order.expires_at)
    if order.unique_key is not None:
        attributes |= {UNIQUE_KEY: order.unique_key, UNIQUE_UNTIL: rfc3339(now + order.unique_for)}
    return envelope(attributes, data)


def data_of(event_type: str, data: Event | Mapping[str, Any]) -> bytes:
    """The data as JSON; InvalidData when it is of another type of event, or cannot be written as JSON."""
    if isinstance(data, Event):
        if data.type != event_type:
            raise InvalidData(
                f"the handler works on {event_type}, not on {data.type}",
                [Problem("", f"must be of type {event_type}")],
            )
        return data.__pydantic_serializer__.to_json(data)
    try:
        return msgspec.json.encode(data)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidData(
            f"the data is no JSON: {error}", [Problem("", f"cannot be written as JSON: {error}")]
        ) from error


def check_data(event: Envelope) -> None:
    """InvalidData with pointers when the data breaks its contract; one unknown here is left to the worker."""
    if event.type in CATALOGUE.types:
        CATALOGUE.check(event)
