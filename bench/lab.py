"""The event and the handler that are measured: about 200 bytes, and no work at all."""

from typing import ClassVar

from shared.contracts import Event
from shared.jobs import Handlers

HANDLER = "bench.take"
CONCURRENCY = 256


class Parcel(Event):
    """An order-like event."""

    type: ClassVar[str] = "bench.parcel"

    parcel_id: str
    sku: str
    note: str


handlers = Handlers("bench")


@handlers.on(Parcel, concurrency=CONCURRENCY)
async def take(event: Parcel) -> dict[str, str]:
    """Do nothing, and say so: what is measured is all that is around it."""
    return {"taken": event.sku}


def parcel(n: int) -> Parcel:
    """The n-th event."""
    return Parcel(parcel_id=f"parcel-{n:08}", sku=f"sku-{n % 50}", note="x" * 120)
