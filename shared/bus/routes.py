"""Which bus an event is published on: its type in, the names of the buses out."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Literal, get_args

from shared.errors import SettingsError

BusName = Literal["redis", "nats"]
_KNOWN: tuple[BusName, ...] = get_args(BusName)


@dataclass(frozen=True, slots=True)
class Routes:
    """The buses that are on, and the patterns that spread the types over them.

    Every handler listens on every bus that is on, so a route may be changed while events are on their way.
    """

    enabled: tuple[BusName, ...]
    patterns: tuple[tuple[str, tuple[BusName, ...]], ...]

    @classmethod
    def parse(cls, routes: str, buses: str) -> "Routes":
        """`user.*=redis;order.*,cron.*=redis+nats` and `redis+nats`; SettingsError says what is wrong.

        What a route names that is not on is left out, so `BUSES=redis` needs no other routes.
        """
        enabled = _buses(buses, "BUSES")
        patterns: list[tuple[str, tuple[BusName, ...]]] = []
        for rule in filter(None, (part.strip() for part in routes.split(";"))):
            left, equals, right = rule.partition("=")
            if not equals or not left.strip():
                raise SettingsError(f"BUS_ROUTES: {rule!r} is no route; give pattern,pattern=bus")
            targets = _buses(right, "BUS_ROUTES")
            usable: tuple[BusName, ...] = tuple(bus for bus in targets if bus in enabled)
            patterns.extend((pattern.strip(), usable) for pattern in left.split(","))
        return cls(enabled, tuple(patterns))

    @lru_cache(1024)  # noqa: B019 - a process has one of these
    def buses_for(self, type_: str) -> Sequence[BusName]:
        """The buses that the type is published on: the first pattern that fits, else the first bus."""
        for pattern, buses in self.patterns:
            if fnmatchcase(type_, pattern):
                return buses or self.enabled[:1]
        return self.enabled[:1]


def _buses(text: str, setting: str) -> tuple[BusName, ...]:
    names = [name.strip() for name in text.split("+")]
    chosen: tuple[BusName, ...] = tuple(bus for bus in _KNOWN if bus in names)
    if len(chosen) != len(names):
        raise SettingsError(f"{setting}: {text!r} names no buses; give redis, nats or redis+nats")
    return chosen
