"""Where the system is that is to be examined: its state.json in, else the environment; addresses out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from launcher.data_folder import DataFolder
from launcher.errors import NotRunning
from launcher.state import read_state

if TYPE_CHECKING:
    from pathlib import Path

    from launcher.environment import Given


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Each is None where nobody told it. `buses` is None when it has to be guessed from what is there."""

    redis: str | None = None
    nats: str | None = None
    nats_monitor: str | None = None
    postgres: str | None = None
    gateway: str | None = None
    data: Path | None = None
    buses: frozenset[str] | None = None


def find(data: Path, given: Given) -> Addresses:
    """The system that runs on the folder, else the one that the environment names; else NotRunning."""
    folder = DataFolder.at(data)
    state = read_state(folder.state_file) if folder.holder() else None
    named = given.get("BUSES")
    buses = frozenset(part.strip() for part in named.split("+")) if named else None
    if state is not None:
        return Addresses(
            redis=state.redis,
            nats=state.nats,
            nats_monitor=state.nats_monitor,
            postgres=state.postgres,
            gateway=state.gateway,
            data=folder.path,
            buses=buses,
        )
    found = Addresses(
        redis=given.get("REDIS_URL"),
        nats=given.get("NATS_URL"),
        nats_monitor=given.get("NATS_MONITOR_URL"),
        postgres=given.get("DATABASE_URL"),
        gateway=given.get("GATEWAY_URL"),
        buses=buses,
    )
    if not (found.redis or found.nats or found.postgres or found.gateway):
        raise NotRunning(
            folder.path,
            "start it with `trunkline up`, or set REDIS_URL, NATS_URL, DATABASE_URL and GATEWAY_URL",
        )
    return found
