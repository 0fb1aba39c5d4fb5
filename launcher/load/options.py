"""How much traffic, for how long, and from which seed."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from random import SystemRandom


@dataclass(frozen=True)
class LoadOptions:
    """What `trunkline load` was asked for."""

    data: Path
    rate: float = 20.0
    """Requests a second; each is sent when it is due, however long the ones before it take."""
    seconds: int = 30
    seed: int = field(default_factory=lambda: SystemRandom().randrange(10_000))
    in_flight_max: int = 200
    """How many requests may be under way; one that is due beyond that is not sent, and counted as such."""
