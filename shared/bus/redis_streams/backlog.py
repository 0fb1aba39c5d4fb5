"""Streams and groups in, how many entries each group has before it out."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from redis.exceptions import ResponseError

from shared.bus.backlog import Backlog
from shared.bus.redis_streams.client import RedisClient


class Place(NamedTuple):
    """A group, and how far it has read its stream."""

    stream: str
    group: str
    delivered: bytes = b"0-0"
    pending: int = 0
    lag: int | None = None
    """None when Redis cannot tell: unread entries were deleted by hand, or there is no group."""


async def backlogs(client: RedisClient, groups: Sequence[tuple[str, str]]) -> list[Backlog]:
    """For each (stream, group), in this order; two round trips. A stream that is not there holds nothing.

    Where Redis cannot tell a lag, all entries count that are not pending: too many, never too few.
    """
    places = await _places(client, groups)
    pipe = client.pipeline(transaction=False)
    for place in places:
        pipe.xlen(place.stream)
        pipe.xrange(place.stream, min=b"(" + place.delivered, count=1)
        if place.pending:
            pipe.xpending(place.stream, place.group)
    replies = iter(await pipe.execute())
    found: list[Backlog] = []
    for place in places:
        length, unread = next(replies), next(replies)
        unread_at = _instant(unread[0][0]) if unread else None
        held = next(replies)["min"] if place.pending else None
        lag = place.lag if place.lag is not None else max(length - place.pending, 0)
        instants = [at for at in (unread_at, _instant(held) if held else None) if at is not None]
        found.append(Backlog(lag, place.pending, min(instants, default=None), unread_at))
    return found


async def _places(client: RedisClient, groups: Sequence[tuple[str, str]]) -> list[Place]:
    pipe = client.pipeline(transaction=False)
    for stream, _ in groups:
        pipe.xinfo_groups(stream)
    replies = await pipe.execute(raise_on_error=False)
    return [_place(stream, group, reply) for (stream, group), reply in zip(groups, replies, strict=True)]


def _place(stream: str, group: str, reply: Any) -> Place:
    if isinstance(reply, ResponseError) and "no such key" in str(reply):
        return Place(stream, group)
    if isinstance(reply, Exception):
        raise reply
    mine = next((one for one in reply if one["name"] == group.encode()), None)
    if mine is None:
        return Place(stream, group)
    return Place(stream, group, mine["last-delivered-id"], mine["pending"], mine.get("lag"))


def _instant(entry_id: bytes) -> datetime:
    return datetime.fromtimestamp(int(entry_id.partition(b"-")[0]) / 1000, UTC)
