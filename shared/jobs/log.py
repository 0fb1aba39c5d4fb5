"""The log of all jobs in Redis: who reads it sees each change of state, in order, in batches."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NamedTuple

import msgspec
from redis.exceptions import ResponseError

from shared.bus.redis_streams import RedisClient, leave_group
from shared.jobs import keys


class Change(NamedTuple):
    """A job is in this state now; progress shows as `running` again."""

    job_id: str
    handler: str
    event_id: str
    state: str
    attempt: int


Entry = tuple[str, list[Change]]
"""The id of an entry of the log, and its changes."""

_changes = msgspec.json.Decoder(list[tuple[str, str, int]])


class JobLog:
    """Reads the log, either all of it from a place on, or shared among the members of a group."""

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis

    async def read(self, after: str, *, block: timedelta, count: int = 500) -> list[Entry]:
        """Entries after that id (`$`: only new ones), waiting up to `block` for the first."""
        reply = await self._redis.xread({keys.LOG: after}, count=count, block=_ms(block))
        return _entries(reply)

    async def last_id(self) -> str:
        """The id of the newest entry, `0-0` when there is none."""
        newest = await self._redis.xrevrange(keys.LOG, count=1)
        return newest[0][0].decode() if newest else "0-0"

    async def now_id(self) -> str:
        """The id that an entry written now would have, whatever the log still holds."""
        seconds, microseconds = await self._redis.time()
        return f"{seconds * 1000 + microseconds // 1000}-0"

    async def join(self, group: str) -> None:
        """Make the group where it is missing; it begins with the oldest entry."""
        try:
            await self._redis.xgroup_create(keys.LOG, group, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    async def take(self, group: str, consumer: str, *, block: timedelta, count: int = 500) -> list[Entry]:
        """Entries that no member of the group has taken yet, waiting up to `block` for the first."""
        reply = await self._redis.xreadgroup(group, consumer, {keys.LOG: ">"}, count=count, block=_ms(block))
        return _entries(reply)

    async def take_over(self, group: str, consumer: str, *, idle: timedelta, count: int = 500) -> list[Entry]:
        """Entries that a member took and did not finish for this long."""
        _, entries, *_ = await self._redis.xautoclaim(
            keys.LOG, group, consumer, min_idle_time=_ms(idle), count=count
        )
        return [_entry(id_, fields) for id_, fields in entries]

    async def oldest_open(self, group: str) -> str | None:
        """The id of the oldest entry that the group is not through with; None when there is none."""
        try:
            groups = await self._redis.xinfo_groups(keys.LOG)
        except ResponseError as error:
            if "no such key" not in str(error):
                raise
            return None
        for found in groups:
            if found["name"] == group.encode():
                taken = (await self._redis.xpending(keys.LOG, group))["min"]
                after = f"({found['last-delivered-id'].decode()}"
                rest = await self._redis.xrange(keys.LOG, min=after, count=1)
                oldest = taken or (rest[0][0] if rest else None)
                return oldest.decode() if oldest else None
        return None

    async def leave(self, group: str, consumer: str) -> None:
        """Take the consumer out of the group, unless it holds entries that it did not finish."""
        await leave_group(self._redis, keys.LOG, group, consumer)

    async def holds(self, entry_id: str) -> bool:
        """Whether the entry is in the log; not so when Redis came back empty or it is too old."""
        return bool(await self._redis.xrange(keys.LOG, entry_id, entry_id))

    async def free(self, job_ids: Sequence[str]) -> None:
        """What these jobs caused is recorded: Redis need not keep it as well."""
        pipe = self._redis.pipeline(transaction=False)
        for job_id in job_ids:
            pipe.hdel(keys.job(*keys.split_job_id(job_id)), "caused_events", "caused_places", "group")
        await pipe.execute()

    async def done(self, group: str, entry_ids: Sequence[str]) -> None:
        """The group is through with these entries."""
        if entry_ids:
            await self._redis.xack(keys.LOG, group, *entry_ids)


def _entries(reply: Any) -> list[Entry]:
    return [_entry(id_, fields) for _, entries in reply or () for id_, fields in entries]


def _entry(id_: bytes, fields: dict[bytes, bytes]) -> Entry:
    handler = fields[b"h"].decode()
    return id_.decode(), [
        Change(f"{handler}:{event_id}", handler, event_id, state, attempt)
        for event_id, state, attempt in _changes.decode(fields[b"c"])
    ]


def _ms(duration: timedelta) -> int:
    return max(1, round(duration.total_seconds() * 1000))
