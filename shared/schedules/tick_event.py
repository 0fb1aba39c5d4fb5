"""The event of a tick: a definition and an instant in, an envelope out, the same on every replica."""

from datetime import UTC, datetime
from typing import Any, Final

from pydantic import JsonValue
from pydantic_core import to_json

from shared.clock import rfc3339
from shared.contracts import CATALOGUE, Envelope, Tick, WrittenEvent, wrap
from shared.contracts.catalogue import check
from shared.schedules.definition import Definition
from shared.schedules.times import event_id, zone_of

SOURCE: Final = "/trunkline/scheduler"
_ANY_TICK: Final = datetime(2026, 1, 1, tzinfo=UTC)


def tick_event(
    definition: Definition, tick: datetime, *, now: datetime, traceparent: str | None = None
) -> Envelope:
    """The event that the tick publishes; UnknownType or InvalidData with pointers when it can be none."""
    contract = CATALOGUE.contract(definition.type)
    data: dict[str, Any] = _filled_in(definition.data, _words(definition, tick))
    if issubclass(contract, Tick):
        data |= {"schedule": definition.name, "tick": rfc3339(tick)}
    envelope = wrap(
        WrittenEvent(definition.type, to_json(data)),
        source=SOURCE,
        id=str(event_id(definition.name, tick)),
        traceparent=traceparent,
        now=now,
    )
    check(contract, envelope)
    return envelope


def check_definition(definition: Definition) -> None:
    """Return when it has times and its ticks have events; TimingError or ContractError when not."""
    _ = definition.timing
    tick_event(definition, _ANY_TICK, now=_ANY_TICK)


def _words(definition: Definition, tick: datetime) -> dict[str, str]:
    local = tick.astimezone(zone_of(definition.timezone))
    return {"{schedule}": definition.name, "{tick}": rfc3339(tick), "{date}": local.date().isoformat()}


def _filled_in(value: Any, words: dict[str, str]) -> Any:
    """The data with the words in its texts replaced."""
    if isinstance(value, str):
        for word, text in words.items():
            value = value.replace(word, text)
        return value
    if isinstance(value, list):
        items: list[JsonValue] = value
        return [_filled_in(item, words) for item in items]
    if isinstance(value, dict):
        members: dict[str, JsonValue] = value
        return {name: _filled_in(item, words) for name, item in members.items()}
    return value
