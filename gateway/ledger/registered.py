"""Which handlers there are: the registry in Redis in, an answer out that costs no round trip."""

import asyncio
from time import monotonic

from shared.bus.redis_streams import UNAVAILABLE
from shared.jobs import HandlerRecord, Registry
from shared.telemetry import get_logger

log = get_logger()

ASK_EVERY_S = 1.0
ASK_LIMIT_S = 0.5

# A Redis that comes back empty knows no handlers until each service has announced itself again. An event
# counted as settled in between, for want of handlers, would never be published again.
REMEMBER_S = 300.0


class RegisteredHandlers:
    """The registry, asked once a second at most; while Redis is away, as it was seen last.

    A handler that is taken out of the registry is still known here for five minutes.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._known: dict[str, HandlerRecord] = {}
        self._seen_at: dict[str, float] = {}
        self._asked_at = -ASK_EVERY_S
        self._asking = asyncio.Lock()

    async def all(self) -> dict[str, HandlerRecord]:
        """Every handler, by name; empty when Redis was never there."""
        if self._is_fresh() or (self._known and self._asking.locked()):
            return self._known
        async with self._asking:
            if not self._is_fresh():
                await self._ask()
        return self._known

    async def of_type(self, event_type: str) -> list[HandlerRecord]:
        """The handlers that an event of this type has."""
        return [handler for handler in (await self.all()).values() if handler.event_type == event_type]

    def _is_fresh(self) -> bool:
        return monotonic() - self._asked_at < ASK_EVERY_S

    async def _ask(self) -> None:
        try:
            async with asyncio.timeout(ASK_LIMIT_S):
                found = await self._registry.handlers()
        except UNAVAILABLE as error:
            log.warning("registry.away", error=str(error))
        else:
            now = monotonic()
            self._seen_at.update(dict.fromkeys(found, now))
            self._known = {
                name: record
                for name, record in (self._known | found).items()
                if now - self._seen_at[name] < REMEMBER_S
            }
        self._asked_at = monotonic()
