"""The line to Redis: many commands on one connection, each with its own reply."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from launcher.servers import RedisServer
from shared.bus.redis_streams import RedisClient, connect
from shared.bus.redis_streams import line as line_module
from shared.settings import Secret


@asynccontextmanager
async def client(url: str, *, retries: int = 0) -> AsyncGenerator[RedisClient]:
    async with connect(Secret(url), retries=retries) as connected:
        yield connected


async def test_each_of_many_callers_gets_the_reply_to_its_own_command(redis_url: str) -> None:
    async with client(redis_url) as redis:
        replies = await asyncio.gather(*(redis.line("ECHO", f"{n}") for n in range(500)))
        connections = await redis.line("CLIENT", "ID"), await redis.line("CLIENT", "ID")

    assert replies == [f"{n}".encode() for n in range(500)]
    assert len(set(connections)) == 1


async def test_an_error_is_raised_at_the_caller_whose_command_it_answers(redis_url: str) -> None:
    async with client(redis_url) as redis:
        before, wrong, after = await asyncio.gather(
            redis.line("ECHO", "before"),
            redis.line("NO", "SUCH", "COMMAND"),
            redis.line("ECHO", "after"),
            return_exceptions=True,
        )

    assert (before, after) == (b"before", b"after")
    assert isinstance(wrong, ResponseError)
    assert "unknown command" in str(wrong)


async def test_a_caller_that_was_cancelled_does_not_shift_the_replies_of_the_others(redis_url: str) -> None:
    async with client(redis_url) as redis:
        await redis.line("PING")
        leaving = asyncio.create_task(redis.line("ECHO", "nobody waits for this"))
        await asyncio.sleep(0)
        leaving.cancel()

        assert await redis.line("ECHO", "mine") == b"mine"
        assert leaving.cancelled()


async def test_a_command_whose_connection_broke_is_repeated_as_often_as_agreed(redis_url: str) -> None:
    async with client(redis_url, retries=3) as redis, client(redis_url) as other:
        waiting = asyncio.create_task(redis.line("BLPOP", "nothing-here", 1))
        await until_blocked(other)
        await other.client_kill_filter(_type="normal", skipme=True)

        assert await waiting is None
        assert await redis.line("PING") == b"PONG"


async def test_what_must_not_run_twice_fails_and_the_next_command_opens_a_connection(redis_url: str) -> None:
    async with client(redis_url) as redis, client(redis_url) as other:
        waiting = asyncio.create_task(redis.line("BLPOP", "nothing-here", 0))
        await until_blocked(other)
        await other.client_kill_filter(_type="normal", skipme=True)

        with pytest.raises(RedisConnectionError):
            await waiting
        assert not redis.line.is_open
        assert await redis.line("PING") == b"PONG"


async def test_a_connection_that_owes_a_reply_and_is_silent_is_given_up(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_module, "_SILENCE_S", 0.1)
    async with client(redis_url) as redis:
        with pytest.raises(RedisTimeoutError):
            await redis.line("BLPOP", "nothing-here", 0)

        assert await redis.line("PING") == b"PONG"


async def test_silence_counts_from_when_a_reply_is_owed_not_from_the_reply_before(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_module, "_SILENCE_S", 1.0)
    async with client(redis_url) as redis:
        await redis.line("PING")
        await asyncio.sleep(0.8)  # at rest: nothing is owed

        assert await redis.line("BLPOP", "nothing-here", 0.6) is None


async def test_who_comes_while_redis_is_away_learns_it_and_is_served_when_it_is_back(tmp_path: Path) -> None:
    async with RedisServer(tmp_path / "redis", durable=False) as server, client(server.url) as redis:
        await server.stop()
        refused = await asyncio.gather(*(redis.line("PING") for _ in range(5)), return_exceptions=True)
        await server.start()

        assert {type(error) for error in refused} == {RedisConnectionError}
        assert await redis.line("PING") == b"PONG"


async def test_many_who_ask_again_and_again_while_redis_is_away_open_few_connections() -> None:
    opened = 0

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened
        opened += 1
        writer.close()

    async def ask(redis: RedisClient) -> None:
        while True:
            with suppress(RedisConnectionError):
                await redis.line("PING")

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, client(f"redis://127.0.0.1:{port}", retries=1) as redis:
        asking = [asyncio.create_task(ask(redis)) for _ in range(30)]
        await asyncio.wait(asking, timeout=1.5)
        for task in asking:
            task.cancel()

    assert 1 < opened < 15


async def test_the_line_logs_in_and_chooses_its_database_as_the_address_says(redis_url: str) -> None:
    address = urlsplit(redis_url)
    async with client(redis_url) as admin:
        await admin.acl_setuser("lodger", enabled=True, passwords=["+secret"], categories=["+@all"], keys="*")
        async with client(f"redis://lodger:secret@{address.hostname}:{address.port}/3") as redis:
            info = (await redis.line("CLIENT", "INFO")).decode().split()
        await admin.acl_deluser("lodger")

    assert {"user=lodger", "db=3"} <= set(info)


async def until_blocked(redis: RedisClient) -> None:
    async with asyncio.timeout(10):
        while not (await redis.info("clients"))["blocked_clients"]:  # noqa: ASYNC110 - Redis tells no other way
            await asyncio.sleep(0.01)
