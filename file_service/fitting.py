"""A profile on its way into an event: values that Postgres and JSON take, and not more of them than fit."""

import math
from typing import Any, Final

import msgspec

from file_service.findings import Profile

MOST_BYTES: Final = 40 * 1024
"""A job's result may have 64 KiB, and the event has more than its profile."""

_LISTS: Final = ("columns", "first_entries")


def clean(value: Any) -> Any:
    """The value without what jsonb refuses: NUL, lone surrogates, numbers that are none."""
    if isinstance(value, str):
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {clean(key): clean(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [clean(one) for one in value]
    return value


def fitting(profile: Profile) -> Profile:
    """The profile with so many columns or entries as fit; `<list>_left_out` says how many do not."""
    found = dict(profile)
    for key in _LISTS:
        items = found.get(key)
        if not isinstance(items, list) or len(msgspec.json.encode(found)) <= MOST_BYTES:
            continue
        room = MOST_BYTES - len(msgspec.json.encode({**found, key: []})) - len(key) - 40
        kept: list[Any] = []
        for item in items:
            room -= len(msgspec.json.encode(item)) + 1
            if room < 0:
                break
            kept.append(item)
        found[key] = kept
        found[f"{key}_left_out"] = len(items) - len(kept)
    return found
