"""The gateway as a process of its own: killed, stopped, started with wrong settings."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

import pytest
from httpx import AsyncClient, ConnectError, ReadError, RemoteProtocolError

from launcher.ports import free_port
from shared.bus.redis_streams import RedisClient
from tests.gateway.door.conftest import ADMIN, KEYS, Query
from tests.gateway.door.events import ADA, binary
from tests.until import until

GONE = (ConnectError, ReadError, RemoteProtocolError)


class Gateway:
    """`python -m gateway` on a free port."""

    def __init__(self, process: asyncio.subprocess.Process, client: AsyncClient) -> None:
        self.process = process
        self.client = client

    async def exit_code(self) -> int:
        async with asyncio.timeout(30):
            return await self.process.wait()


@asynccontextmanager
async def running(environment: Mapping[str, str], **changes: str) -> AsyncGenerator[Gateway]:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", env={**environment, "PORT": str(port), **changes}
    )
    try:
        async with AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=ADMIN, timeout=20) as client:

            async def answers() -> bool:
                try:
                    return (await client.get("/livez")).status_code == 200
                except GONE:
                    return False

            await until(answers, within=30)
            yield Gateway(process, client)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.fixture
def environment(redis_url: str, nats_url: str, database_url: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "REDIS_URL": redis_url,
        "NATS_URL": nats_url,
        "DATABASE_URL": database_url,
        "API_KEYS": KEYS,
        "BUSES": "redis",
        "GRACE": "10",
    }


async def test_an_event_whose_gateway_died_after_the_commit_is_published_once_by_the_next(
    environment: dict[str, str], redis: RedisClient, query: Query
) -> None:
    async with running(environment, TRUNKLINE_FAULT="after_commit") as gateway:
        with pytest.raises(GONE):
            await gateway.client.post("/v1/events", json=ADA, headers=binary())
        assert await gateway.exit_code() == 137
    [row] = await query("SELECT id::text, published_at FROM gateway.events")
    assert row["published_at"] is None
    assert await redis.exists("events:user.registered") == 0

    async with running(environment) as gateway:

        async def marked() -> bool:
            return len(await query("SELECT FROM gateway.events WHERE published_at IS NOT NULL")) == 1

        await until(marked)
        answer = await gateway.client.post("/v1/events", json=ADA, headers=binary())  # the client tries again

    assert answer.headers["trunkline-duplicate"] == "true"
    entries = await redis.xrange("events:user.registered")
    assert [fields[b"ce-id"].decode() for _, fields in entries] == [row["id"]]


async def test_sigterm_lets_requests_end_publishes_what_is_committed_and_exits_with_0(
    environment: dict[str, str], redis: RedisClient, query: Query
) -> None:
    async with running(environment) as gateway:
        posts = [
            asyncio.create_task(gateway.client.post("/v1/events", json=ADA, headers=binary(ce_id=f"a-{n}")))
            for n in range(50)
        ]
        done, _ = await asyncio.wait(posts, return_when=asyncio.FIRST_COMPLETED)
        gateway.process.send_signal(signal.SIGTERM)
        answers = await asyncio.gather(*posts, return_exceptions=True)
        assert await gateway.exit_code() == 0

    assert done
    accepted = [answer for answer in answers if not isinstance(answer, BaseException)]
    assert all(answer.status_code == 202 for answer in accepted)
    rows = await query("SELECT published_at FROM gateway.events")
    assert len(rows) >= len(accepted)
    assert all(row["published_at"] for row in rows)
    assert await redis.xlen("events:user.registered") == len(rows)


async def test_every_request_that_is_under_way_at_sigterm_is_answered(environment: dict[str, str]) -> None:
    async with running(environment) as gateway:
        port = gateway.client.base_url.port or 0
        half_sent = [await begin_request(port, f"b-{n}") for n in range(10)]

        gateway.process.send_signal(signal.SIGTERM)
        await until(lambda: is_refused(port), within=10, what="no new connection is taken")
        answers = [await end_request(*streams) for streams in half_sent]

        assert await gateway.exit_code() == 0

    assert answers == [b"HTTP/1.1 202 Accepted"] * 10


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
BODY = json.dumps(ADA).encode()


async def begin_request(port: int, ce_id: str) -> Streams:
    """Send the head of a request and wait until the gateway asks for its body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    headers = {
        "Host": "gateway",
        **ADMIN,
        **binary(ce_id=ce_id),
        "Content-Length": str(len(BODY)),
        "Expect": "100-continue",
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"POST /v1/events HTTP/1.1\r\n{head}\r\n".encode())
    async with asyncio.timeout(10):
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    return reader, writer


async def end_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """Send the body; the first line of the answer."""
    writer.write(BODY)
    async with asyncio.timeout(10):
        answer = await reader.readline()
    writer.close()
    return answer.rstrip()


async def is_refused(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionError:
        return True
    writer.close()
    return False


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"API_KEYS": ""}, "API_KEYS is empty"),
        ({"BODY_MAX": "many"}, "BODY_MAX"),
        ({"BUSES": "kafka"}, "BUSES"),
        ({"DATABASE_URL": "mysql://localhost/x"}, "DATABASE_URL"),
        ({"PORT": "99999"}, "PORT"),
    ],
)
async def test_a_wrong_setting_stops_the_start_with_one_line(
    environment: dict[str, str], changes: dict[str, str], said: str
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", env=environment | changes, stderr=asyncio.subprocess.PIPE
    )

    async with asyncio.timeout(30):
        _, errors = await process.communicate()

    assert process.returncode == 2
    assert said in errors.decode()
    assert errors.count(b"\n") == 1
