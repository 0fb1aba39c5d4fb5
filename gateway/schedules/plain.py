"""When a schedule fires, in plain English: a definition in, "At 09:00 on Monday, UTC" out. Pure."""

from datetime import timedelta
from functools import lru_cache
from typing import Final

from cronsim.explain import explain

from shared.clock import rfc3339
from shared.schedules import Definition

_UNITS: Final = (("day", 86_400_000_000), ("hour", 3_600_000_000), ("minute", 60_000_000))


def plain(definition: Definition) -> str:
    """What the times of a checked definition mean; a period counts real time, and no zone changes it."""
    if definition.cron is not None:
        return f"{_explained(definition.cron)}, {definition.timezone}"
    every = f"Every {_length(definition.every or timedelta(0))}"
    return f"{every}, counted from {rfc3339(definition.starts_at)}" if definition.starts_at else every


@lru_cache(maxsize=1024)
def _explained(cron: str) -> str:
    return explain(cron)


def _length(length: timedelta) -> str:
    """`day`, `2 hours`, `minute and 30 seconds`."""
    left = length // timedelta(microseconds=1)
    parts: list[tuple[float, str]] = []
    for name, unit in _UNITS:
        count, left = divmod(left, unit)
        if count:
            parts.append((count, name))
    if left:
        parts.append((left / 1_000_000, "second"))
    words = [f"{count:.10g} {name}{'' if count == 1 else 's'}" for count, name in parts]
    words[0] = words[0].removeprefix("1 ")
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
