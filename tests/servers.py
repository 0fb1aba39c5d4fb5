"""What tests ask of a server, and where the servers of a run come from: TRUNKLINE_TEST_BROKERS in."""

import os
from typing import Protocol


class AnyServer(Protocol):
    """A server that a test uses, kills and starts again, with its data and on its port."""

    @property
    def url(self) -> str:
        """Where clients find it."""
        ...

    async def start(self) -> None:
        """Start it, for the first time or again, and return when it answers."""
        ...

    async def kill(self) -> None:
        """SIGKILL it."""
        ...

    async def delete(self) -> None:
        """Remove it, with its data."""
        ...


def in_containers() -> bool:
    """Whether the servers of this run are containers; else they come from the wheels."""
    chosen = os.environ.get("TRUNKLINE_TEST_BROKERS", "wheels")
    if chosen not in {"wheels", "containers"}:
        raise ValueError(f"TRUNKLINE_TEST_BROKERS is {chosen!r}; give wheels or containers")
    return chosen == "containers"
