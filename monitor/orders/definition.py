"""A schedule's definition as the fields of a form, and back. Pure.

What is wrong with times, names and data the gateway says; here is only what cannot be sent to it.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from monitor.orders.order import Field, WrongField

NEW: Final[Mapping[str, Any]] = {
    "cron": "0 9 * * MON-FRI",
    "timezone": "UTC",
    "misfire": "fire_once",
    "catch_up": 3600,
    "overlap": "allow",
    "jitter": 0,
}
"""What a form for a new schedule begins with."""

_TEXTS: Final = ("cron", "every", "timezone", "type", "catch_up", "jitter", "starts_at", "ends_at")
_MAY_BE_NONE: Final = frozenset({"cron", "every", "starts_at", "ends_at"})
_UNITS: Final = (("d", 86_400), ("h", 3_600), ("m", 60))


def fields_of(definition: Mapping[str, Any]) -> Sequence[Field]:
    """All of it but the name."""

    def text(name: str) -> str:
        value = definition.get(name)
        return "" if value is None else value if isinstance(value, str) else _length(value)

    data = definition.get("data", {})
    return [
        Field("cron", "Cron expression", text("cron"), hint="Minute, hour, day, month, weekday."),
        Field("every", "Or every", text("every"), hint="In place of cron: 30s, 5m, 2h, 1d."),
        Field("timezone", "Time zone", text("timezone"), hint="IANA name, such as Europe/Warsaw."),
        Field("type", "Event type", text("type"), hint="What a tick publishes.", required=True),
        Field(
            "data",
            "Its data, as JSON",
            data if isinstance(data, str) else msgspec.json.format(msgspec.json.encode(data)).decode(),
            kind="area",
            hint="{schedule}, {tick} and {date} in texts are filled in.",
        ),
        Field(
            "misfire",
            "Missed ticks",
            text("misfire"),
            kind="select",
            options=("skip", "fire_once", "fire_all"),
            hint="When no scheduler was there: skip them, fire the latest, or each.",
        ),
        Field("catch_up", "Catch up", text("catch_up"), hint="A missed tick that is older does not fire."),
        Field(
            "overlap",
            "While jobs of an earlier tick have not ended",
            text("overlap"),
            kind="select",
            options=("allow", "skip"),
        ),
        Field("jitter", "Jitter", text("jitter"), hint="A tick fires up to so much later, such as 30s."),
        Field("starts_at", "Not before", text("starts_at"), hint="2026-01-31T12:00:00Z, or empty."),
        Field("ends_at", "Not after", text("ends_at"), hint="2026-12-31T12:00:00Z, or empty."),
    ]


def definition_of(field: Callable[[str], str]) -> dict[str, Any]:
    """What the fields say, for the API; WrongField for data that are no JSON."""
    texts = {name: field(name).strip() for name in _TEXTS}
    given: dict[str, Any] = {
        name: value or None for name, value in texts.items() if value or name in _MAY_BE_NONE
    }
    for name in ("misfire", "overlap"):
        if field(name):
            given[name] = field(name)
    given["data"] = _json(field("data"))
    return given


def _json(text: str) -> Any:
    try:
        return json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError) as error:
        raise WrongField(f"data: is no JSON: {error}") from None


def _length(length_s: float) -> str:
    """`1h`, `90s`: as it is typed."""
    for unit, seconds in _UNITS:
        if length_s and length_s % seconds == 0:
            return f"{int(length_s // seconds)}{unit}"
    return f"{length_s:g}s"
