"""The consumers of a group whose workers are gone: removed, unless entries are still pending with them."""

from datetime import timedelta

from shared.bus.redis_streams.client import RedisClient, script


async def leave_group(client: RedisClient, stream: str, group: str, consumer: str) -> bool:
    """Take the consumer out of the group; False when entries are pending with it, and it stays."""
    leave = script(client, "shared.bus.redis_streams", "leave")
    return bool(await leave([stream], [group, consumer]))


async def remove_gone(client: RedisClient, stream: str, group: str, *, silent_for: timedelta) -> list[str]:
    """Take out those that asked for nothing for so long; returns their names.

    What is pending with one of them is taken over by others first; a later call finds it empty.
    """
    silent_ms = silent_for.total_seconds() * 1000
    removed: list[str] = []
    for consumer in await client.xinfo_consumers(stream, group):
        name = consumer["name"].decode()
        if consumer["idle"] > silent_ms and await leave_group(client, stream, group, name):
            removed.append(name)
    return removed
