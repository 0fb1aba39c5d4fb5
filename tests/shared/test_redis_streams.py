"""What stays in a Redis stream, and for how long."""

from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any, ClassVar

import pytest

from shared.bus.redis_streams import RedisPublisher, connect
from shared.bus.redis_streams.acks import Acks, trim
from shared.bus.redis_streams.consumers import remove_gone
from shared.contracts import Event, wrap
from shared.settings import Secret

STREAM = "events:lab.told"


class Told(Event):
    type: ClassVar[str] = "lab.told"

    n: int


@pytest.fixture
async def redis(redis_url: str) -> AsyncGenerator[Any]:
    async with connect(Secret(redis_url)) as client:
        yield client


async def publish(redis: Any, count: int, *, keep: timedelta = timedelta(hours=1)) -> None:
    publisher = RedisPublisher(redis, window=timedelta(minutes=1), keep=keep)
    envelopes = [wrap(Told(n=n), source="/lab") for n in range(count)]
    assert len(await publisher.publish(envelopes)) == count


async def take(redis: Any, group: str, count: int) -> list[bytes]:
    ((_, entries),) = await redis.xreadgroup(group, "worker", {STREAM: ">"}, count=count)
    return [entry_id for entry_id, _ in entries]


async def two_groups(redis: Any) -> None:
    for group in ("fast", "slow"):
        await redis.xgroup_create(STREAM, group, id="0", mkstream=True)


@pytest.mark.parametrize("server_can_remove", [True, False])
async def test_an_entry_goes_when_every_group_is_through_with_it(
    redis: Any, *, server_can_remove: bool
) -> None:
    await two_groups(redis)
    await publish(redis, 5)

    for group, count in (("fast", 5), ("slow", 2)):
        acks = Acks(redis, group)
        acks._can_remove = server_can_remove
        for entry_id in await take(redis, group, count):
            acks.add(STREAM, entry_id)
        await acks.sent()
    await trim(redis, STREAM)

    # Trimming by the slowest group keeps the last entry that it acknowledged.
    assert await redis.xlen(STREAM) == (3 if server_can_remove else 4)


async def test_what_a_group_has_taken_and_not_finished_is_not_trimmed(redis: Any) -> None:
    await two_groups(redis)
    await publish(redis, 5)
    for group in ("fast", "slow"):
        taken = await take(redis, group, 5)
        await redis.xack(STREAM, group, *taken[1:])

    await trim(redis, STREAM)

    assert await redis.xlen(STREAM) == 5


async def test_events_that_nobody_listens_to_are_kept_for_a_while_only(redis: Any) -> None:
    await redis.xadd(STREAM, {"data": "{}"}, id="1-0")
    for n in range(200):
        await redis.xadd(STREAM, {"data": "{}"}, id=f"{n + 2}-0")

    await publish(redis, 1, keep=timedelta(minutes=1))

    # Trimming is approximate: whole nodes of a hundred entries go.
    assert await redis.xlen(STREAM) < 102


async def test_events_that_somebody_listens_to_are_kept_however_old(redis: Any) -> None:
    await redis.xgroup_create(STREAM, "slow", id="0", mkstream=True)
    for n in range(300):
        await redis.xadd(STREAM, {"data": "{}"}, id=f"{n + 1}-0")

    await publish(redis, 1, keep=timedelta(milliseconds=1))

    assert await redis.xlen(STREAM) == 301


async def test_the_same_id_is_added_once_within_the_window(redis: Any) -> None:
    publisher = RedisPublisher(redis, window=timedelta(minutes=1), keep=timedelta(hours=1))
    envelope = wrap(Told(n=1), source="/lab")

    places = [await publisher.publish([envelope]) for _ in range(3)]

    ((entry_id, _),) = await redis.xrange(STREAM)
    assert places == [{envelope.id: f"redis:{STREAM} {entry_id.decode()}"}] * 3
    assert 0 < await redis.pttl(f"dd:{{{STREAM}}}:{envelope.id}") <= 60_000


async def test_an_event_that_could_not_be_added_is_not_taken_for_published(redis: Any) -> None:
    await redis.set(STREAM, "not a stream")
    publisher = RedisPublisher(redis, window=timedelta(minutes=1), keep=timedelta(hours=1))
    envelope = wrap(Told(n=1), source="/lab")

    refused = await publisher.publish([envelope])
    await redis.delete(STREAM)
    added = await publisher.publish([envelope])

    assert (refused, added.keys()) == ({}, {envelope.id})


async def test_a_consumer_whose_worker_is_gone_is_removed_once_nothing_is_pending_with_it(redis: Any) -> None:
    await redis.xgroup_create(STREAM, "group", id="0", mkstream=True)
    await publish(redis, 1)
    await redis.xreadgroup("group", "died at work", {STREAM: ">"})
    await redis.xgroup_createconsumer(STREAM, "group", "died in bed")

    living = await remove_gone(redis, STREAM, "group", silent_for=timedelta(minutes=1))
    first = await remove_gone(redis, STREAM, "group", silent_for=timedelta(milliseconds=-1))
    ((_, entries, _),) = [await redis.xautoclaim(STREAM, "group", "heir", min_idle_time=0)]
    second = await remove_gone(redis, STREAM, "group", silent_for=timedelta(milliseconds=-1))

    assert (living, first, second) == ([], ["died in bed"], ["died at work"])
    assert len(entries) == 1
    assert [consumer["name"] for consumer in await redis.xinfo_consumers(STREAM, "group")] == [b"heir"]
