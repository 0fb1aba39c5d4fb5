"""WHAT TRAVELS: the events' contracts, their envelope and how it looks as JSON and as headers.

A contract is a frozen pydantic model with a `type`; an Envelope carries one with its CloudEvents
attributes. Services import from here, never from the files inside.
"""

from shared.contracts.catalogue import Catalogue
from shared.contracts.drill import DrillRequested
from shared.contracts.email import EmailBounced, EmailRequested, EmailSent
from shared.contracts.envelope import (
    DELIVER_AT,
    EXPIRES_AT,
    HANDLER,
    UNIQUE_KEY,
    UNIQUE_UNTIL,
    Envelope,
    addressed,
    caused_id,
    envelope,
    new_id,
    wrap,
)
from shared.contracts.event import Address, EntityId, Event, WrittenEvent
from shared.contracts.gateway import UserRegistered
from shared.contracts.headers import decode_header, encode_header
from shared.contracts.structured import (
    BATCH_TYPE,
    STRUCTURED_TYPE,
    decode_batch,
    decode_structured,
    encode_structured,
)

CATALOGUE = Catalogue(UserRegistered, EmailRequested, EmailSent, EmailBounced, DrillRequested)
"""Every event type of the system; an event of another type is refused at every door."""

__all__ = [
    "BATCH_TYPE",
    "CATALOGUE",
    "DELIVER_AT",
    "EXPIRES_AT",
    "HANDLER",
    "STRUCTURED_TYPE",
    "UNIQUE_KEY",
    "UNIQUE_UNTIL",
    "Address",
    "Catalogue",
    "DrillRequested",
    "EmailBounced",
    "EmailRequested",
    "EmailSent",
    "EntityId",
    "Envelope",
    "Event",
    "UserRegistered",
    "WrittenEvent",
    "addressed",
    "caused_id",
    "decode_batch",
    "decode_header",
    "decode_structured",
    "encode_header",
    "encode_structured",
    "envelope",
    "new_id",
    "wrap",
]
