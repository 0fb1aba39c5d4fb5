"""Real servers under the launcher."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from launching import is_alive, running_state, until, until_async
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisAway

if TYPE_CHECKING:
    from launching import Cli


async def test_a_killed_server_comes_back_on_its_port_with_its_data(whole: Cli) -> None:
    state = running_state(whole)
    async with Redis.from_url(state.redis) as client:
        await client.set("kept", "yes")

        os.kill(state.processes["redis"].pid, signal.SIGKILL)

        until(lambda: running_state(whole).processes["redis"].restarts == 1, "Redis is started again")
        assert await _get(client, "kept") == b"yes"


async def test_nothing_outlives_a_killed_launcher_and_the_next_finds_all_data(whole: Cli) -> None:
    first = running_state(whole)
    async with Redis.from_url(first.redis) as client:
        await client.set("found", "yes")

    os.kill(first.pid, signal.SIGKILL)
    until(lambda: not any(is_alive(child.pid) for child in first.processes.values()), "all are gone")
    second = whole.up()

    assert len(first.processes) == 7
    assert second.api_key == first.api_key
    async with Redis.from_url(second.redis) as client:
        assert await client.get("found") == b"yes"


async def _get(client: Redis, key: str) -> bytes | str | None:
    """Asked until the server that was started again answers."""

    async def ask() -> bytes | str | None:
        try:
            return await client.get(key)
        except RedisAway:
            return None

    return await until_async(ask, "Redis answers")
