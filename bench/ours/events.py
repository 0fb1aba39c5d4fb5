"""A parcel that tells from which instant on its job may start; of plain parcels see bench/contenders."""

from typing import ClassVar

from bench.contenders.command import payload
from bench.contenders.trunkline import Parcel


class DueParcel(Parcel):
    """One whose lateness is to be known."""

    type: ClassVar[str] = "bench.due_parcel"

    due_ns: int
    """By the machine's clock, ns since 1970."""


def due_parcel(due_ns: int) -> DueParcel:
    """One that is due at this instant."""
    parcel_id, sku, note = payload(due_ns % 100_000_000)
    return DueParcel(parcel_id=parcel_id, sku=sku, note=note, due_ns=due_ns)
