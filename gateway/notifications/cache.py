"""The first page of a user's notifications in Redis: a user in, its bytes out; dropped when it changes.

An entry lives for 30 s whatever happens. So it may be dropped by a task after the answer, which a kill loses,
and Redis may be away: the worst is a page of half a minute ago.
"""

import asyncio
from datetime import timedelta
from typing import Final, cast

from shared.bus.redis_streams import UNAVAILABLE, RedisClient
from shared.telemetry import get_logger

KEPT: Final = timedelta(seconds=30)
_PATIENCE: Final = timedelta(milliseconds=250)
"""A cache that takes longer than this costs more than it saves."""


class PageCache:
    """Pages by user. Redis away is as good as an empty cache: nothing here raises for it."""

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis
        self._log = get_logger()

    async def get(self, user_id: str) -> bytes | None:
        """The page as it was kept; None when it is not there."""
        try:
            async with asyncio.timeout(_PATIENCE.total_seconds()):
                return cast("bytes | None", await self._redis.get(_key(user_id)))
        except UNAVAILABLE:
            return None

    async def keep(self, user_id: str, page: bytes) -> None:
        """Keep the page for a while."""
        try:
            async with asyncio.timeout(_PATIENCE.total_seconds()):
                await self._redis.set(_key(user_id), page, px=KEPT)
        except UNAVAILABLE:
            self._log.debug("cache.away")

    async def drop(self, user_id: str) -> None:
        """Forget the page: it has changed. Not done when Redis is away, which the log tells."""
        try:
            async with asyncio.timeout(_PATIENCE.total_seconds()):
                await self._redis.delete(_key(user_id))
        except UNAVAILABLE as error:
            self._log.warning("cache.not_dropped", error_type=type(error).__name__)


def _key(user_id: str) -> str:
    return f"cache:notifications:{user_id}"
