"""The keys that this gateway knows: those of API_KEYS and the stored ones in, one look-up a request out.

Stored keys are read again every second and a half, so what another gateway changed is known within two. While
Postgres is away those known last go on to open the door.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final, Self

from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.door.keys import ApiKeys, Key, Source
from gateway.keys import book
from gateway.keys.look_ups import LookUps
from gateway.ledger.away import away
from gateway.ledger.ending import end
from shared.telemetry import get_logger

EVERY: Final = timedelta(seconds=1.5)
_USES_EVERY_S: Final = 60.0
_LIMIT_S: Final = 1.0


class KeyRing:
    """All keys that are let in; while it is entered, it keeps up with Postgres."""

    def __init__(self, setting: ApiKeys, engine: AsyncEngine, *, every: timedelta = EVERY) -> None:
        self.setting: Final = tuple({key.digest: key for key in setting}.values())
        self._engine = engine
        self._every_s = every.total_seconds()
        self._known = {key.digest: key for key in self.setting}
        self._look_ups = LookUps(engine)
        self._changes = 0
        self._uses: dict[str, datetime] = {}
        self._uses_due_at = 0.0
        self._task: asyncio.Task[None] | None = None
        self._log = get_logger()

    async def __aenter__(self) -> Self:
        await self.refresh()
        self._task = asyncio.create_task(self._keep_up(), name="keys")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            await end(self._task)
        await self._look_ups.close()
        await self._trying(self._note_uses)

    def find(self, presented: bytes) -> Key | None:
        """The key that was presented, if it is known here.

        Looked up by its SHA-256: the time it takes depends on the digest, which tells nothing about the key.
        """
        key = self._known.get(sha256(presented).digest())
        if key is None or key.source is not Source.STORED:
            return key
        now = datetime.now(UTC)
        if key.expires_at is not None and key.expires_at <= now:
            return None
        self._uses[key.id] = now
        return key

    async def look_up(self, presented: bytes) -> Key | str:
        """The key as Postgres has it, or why it is refused; raises what Postgres raises."""
        changes = self._changes
        found = await self._look_ups.ask(sha256(presented).digest())
        if isinstance(found, str):
            return found
        if changes == self._changes:
            self._known[found.digest] = found
        self._uses[found.id] = datetime.now(UTC)
        return found

    def add(self, key: Key) -> None:
        """A key that this process has made: let it in from now on."""
        self._changes += 1
        self._known[key.digest] = key

    def drop(self, key_id: str) -> None:
        """A key that this process has revoked: let it in no more."""
        self._changes += 1
        self._known = {digest: key for digest, key in self._known.items() if key.id != key_id}

    async def refresh(self) -> None:
        """Read the stored keys once more; while Postgres is away the known ones stay."""
        await self._trying(self._read)

    async def _keep_up(self) -> None:
        while True:
            await asyncio.sleep(self._every_s * random.uniform(0.75, 1))  # noqa: S311 - jitter, no secret
            await self.refresh()
            if self._uses and time.monotonic() >= self._uses_due_at:
                await self._trying(self._note_uses)

    async def _read(self) -> None:
        changes = self._changes
        async with self._engine.connect() as connection:
            stored = await book.valid(connection)
        # What was changed here meanwhile is newer than what was read; the next round reads again.
        if changes == self._changes:
            self._known = {key.digest: key.key() for key in stored} | {
                key.digest: key for key in self.setting
            }

    async def _note_uses(self) -> None:
        if not self._uses:
            return
        uses, self._uses = self._uses, {}
        try:
            async with self._engine.begin() as connection:
                await book.note_uses(connection, uses)
        except BaseException:
            self._uses = uses | self._uses
            raise
        self._uses_due_at = time.monotonic() + _USES_EVERY_S

    async def _trying(self, step: Callable[[], Awaitable[None]]) -> None:
        try:
            async with asyncio.timeout(_LIMIT_S):
                await step()
        except Exception as error:  # noqa: BLE001 - a loop: the next round tries again
            if away(error) is None:
                self._log.exception("keys.not_read")
