"""Keys that this process does not know yet: a SHA-256 in, the key or why it is refused out.

Anybody may send anything, so the questions are gathered: at most one is with Postgres at a time, for all that
came meanwhile, and what was refused is refused for a second without asking.
"""

import asyncio
import time
from datetime import UTC, datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.door.keys import UNKNOWN, Key
from gateway.door.problems import unavailable
from gateway.keys import book
from gateway.keys.book import StoredKey
from gateway.ledger.ending import end

_REFUSED_FOR_S: Final = 1.0
_LIMIT_S: Final = 1.0
_MOST_REMEMBERED: Final = 1000
_MOST_WAITING: Final = 1000

Found = Key | str


class LookUps:
    """Asks Postgres for keys one by one as they come, and many at once when many come."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._refused: dict[bytes, tuple[float, str]] = {}
        self._waiting: dict[bytes, asyncio.Future[Found]] = {}
        self._asking: asyncio.Task[None] | None = None

    async def ask(self, digest: bytes) -> Found:
        """The key, or why it is refused; raises what Postgres raises, and Refused with 503 for too many."""
        until, why = self._refused.get(digest, (0.0, ""))
        if time.monotonic() < until:
            return why
        future = self._waiting.get(digest)
        if future is None:
            if len(self._waiting) >= _MOST_WAITING:
                raise unavailable("the look-up of keys")
            future = self._waiting[digest] = asyncio.get_running_loop().create_future()
            if self._asking is None:
                self._asking = asyncio.create_task(self._ask_for_all(), name="look up keys")
        return await asyncio.shield(future)

    async def close(self) -> None:
        """Leave those who wait without an answer: the process ends."""
        if self._asking is not None:
            await end(self._asking)

    async def _ask_for_all(self) -> None:
        try:
            while self._waiting:
                asked, self._waiting = self._waiting, {}
                await self._answer(asked)
        finally:
            self._asking = None

    async def _answer(self, asked: dict[bytes, asyncio.Future[Found]]) -> None:
        try:
            async with asyncio.timeout(_LIMIT_S), self._engine.connect() as connection:
                keys = {key.digest: key for key in await book.of_digests(connection, list(asked))}
        except Exception as error:  # noqa: BLE001 - each who waits raises it
            for future in asked.values():
                future.set_exception(error)
                future.exception()  # who waited may be gone
            return
        now = datetime.now(UTC)
        for digest, future in asked.items():
            found = _judged(keys.get(digest), now)
            if isinstance(found, str):
                self._remember(digest, found)
            future.set_result(found)

    def _remember(self, digest: bytes, why: str) -> None:
        if len(self._refused) >= _MOST_REMEMBERED:
            self._refused.clear()
        self._refused[digest] = (time.monotonic() + _REFUSED_FOR_S, why)


def _judged(found: StoredKey | None, now: datetime) -> Found:
    if found is None:
        return UNKNOWN
    if found.revoked_at is not None:
        return f"the key was revoked at {found.revoked_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    if found.expires_at is not None and found.expires_at <= now:
        return f"the key expired at {found.expires_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return found.key()
