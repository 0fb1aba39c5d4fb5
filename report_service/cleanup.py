"""Old reports: removed from the object store, one after another."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from shared.objects import Objects

Tell = Callable[[float, float, str], Awaitable[None]]


class Shelf:
    """Where reports lie, and for how long."""

    def __init__(self, objects: Objects, *, keep: timedelta) -> None:
        self._objects = objects
        self._keep = keep

    async def clear(self, *, tell: Tell) -> int:
        """Remove what is older than that; returns how many. What is gone already does no harm."""
        before = datetime.now(UTC) - self._keep
        removed, seen = 0, 0
        async for found in self._objects.list("reports"):
            seen += 1
            if found.modified_at < before:
                await self._objects.delete(found.key)
                removed += 1
            await tell(seen, seen + 1, f"{removed} of {seen} reports removed")
        return removed
