"""A refusal of the API in; a fault that names the form's fields out."""

from typing import Any

from monitor.orders.order import WrongField
from shared.api import Refusal


def of_fields(refusal: Refusal) -> WrongField:
    """Each fault with the field that it is about: `cron: has 4 fields, not ...`."""
    errors: list[dict[str, Any]] = refusal.problem.get("errors") or []
    said = [f"{_field(error['pointer'])}{error['detail']}" for error in errors]
    return WrongField("; ".join(said) or refusal.detail or str(refusal))


def _field(pointer: str) -> str:
    name = pointer.removeprefix("#").strip("/").replace("/", ".")
    return f"{name}: " if name else ""
