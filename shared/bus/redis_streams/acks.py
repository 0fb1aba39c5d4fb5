"""Entries that a group is through with: gathered, acknowledged together, and removed from their streams.

Redis 8.2 removes an entry in the same command once every group has acknowledged it (XACKDEL ... ACKED). An
older server is asked from time to time how far the slowest group is, and the stream is trimmed up to there.
"""

import asyncio
import time
from collections import defaultdict
from typing import Any

from redis.exceptions import ResponseError

from shared.bus.redis_streams.client import UNAVAILABLE, RedisClient
from shared.telemetry import get_logger

_TRIM_EVERY_S = 5.0


class Acks:
    """The acknowledgements of one group; all of one turn of the loop go out in one round trip."""

    def __init__(self, client: RedisClient, group: str) -> None:
        self._client = client
        self._group = group
        self._waiting: defaultdict[str, list[bytes]] = defaultdict(list)
        self._sending: asyncio.Task[None] | None = None
        self._can_remove = True
        self._trimmed_at = 0.0
        self._log = get_logger().bind(bus="redis", group=group)

    def add(self, stream: str, entry_id: bytes) -> None:
        """The entry is done with; sent soon."""
        self._waiting[stream].append(entry_id)
        if self._sending is None:
            self._sending = asyncio.create_task(self._send())

    async def sent(self) -> None:
        """Return when nothing waits to be sent."""
        while self._sending is not None:
            await asyncio.wait([self._sending])

    async def _send(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, defaultdict(list)
                try:
                    await self._acknowledge(batch)
                except UNAVAILABLE as error:
                    # They are delivered again after a lease, and known as done then.
                    self._log.warning("bus.ack_failed", error=str(error))
        finally:
            self._sending = None

    async def _acknowledge(self, batch: dict[str, list[bytes]]) -> None:
        if self._can_remove:
            try:
                await self._acknowledge_and_remove(batch)
            except ResponseError as error:
                if "unknown command" not in str(error):
                    raise
                self._can_remove = False
            else:
                return
        pipe = self._client.pipeline(transaction=False)
        for stream, entry_ids in batch.items():
            pipe.xack(stream, self._group, *entry_ids)
        await pipe.execute()
        if time.monotonic() - self._trimmed_at > _TRIM_EVERY_S:
            self._trimmed_at = time.monotonic()
            for stream in batch:
                await trim(self._client, stream)

    async def _acknowledge_and_remove(self, batch: dict[str, list[bytes]]) -> None:
        await asyncio.gather(
            *(
                self._client.line("XACKDEL", stream, self._group, "ACKED", "IDS", len(entry_ids), *entry_ids)
                for stream, entry_ids in batch.items()
            )
        )


async def trim(client: RedisClient, stream: str) -> None:
    """Remove what every group has acknowledged: all before the slowest group's first open entry."""
    first_open: list[tuple[int, int]] = []
    for group in await client.xinfo_groups(stream):
        pending = await client.xpending(stream, group["name"])
        first_open.append(_parts(pending["min"] or group["last-delivered-id"]))
    if first_open:
        milliseconds, sequence = min(first_open)
        await client.xtrim(stream, minid=f"{milliseconds}-{sequence}", approximate=False)


def _parts(entry_id: Any) -> tuple[int, int]:
    milliseconds, _, sequence = entry_id.decode().partition("-")
    return int(milliseconds), int(sequence)
