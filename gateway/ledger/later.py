"""An event that is to be delivered later in, the instant until which the ledger alone has it out.

A job that waits for minutes waits in Redis, where it is due to the millisecond; one that waits for days is a
row in Postgres until then, so that a million of them cost neither memory nor a look.
"""

from datetime import datetime, timedelta
from typing import Final

from shared.clock import from_rfc3339, rfc3339
from shared.contracts import DELIVER_AT, Envelope

AHEAD: Final = timedelta(minutes=5)
"""How long before its instant an event leaves the ledger for its bus."""


def held_until(envelope: Envelope, now: datetime) -> datetime | None:
    """When the event is to be published; None for now."""
    text = envelope.attributes.get(DELIVER_AT)
    if text is None:
        return None
    instant = from_rfc3339(text)
    return instant - AHEAD if instant > now + AHEAD else None


def due_at(held_until: datetime | None) -> str | None:
    """When the jobs of an event are due that is held until then, as RFC 3339; None when it is not held."""
    return rfc3339(held_until + AHEAD) if held_until else None
