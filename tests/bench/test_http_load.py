"""The load on a door: a port in, how many requests were answered out."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from bench.http_load import rate, requests


@asynccontextmanager
async def door(answer: bytes, *, pieces: int = 1) -> AsyncGenerator[tuple[int, Counter[bytes]]]:
    """A server that gives this answer to all; its port, and how often each body came."""
    bodies = Counter[bytes]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                bodies[await reader.readexactly(length)] += 1
                step = -(-len(answer) // pieces)
                for at in range(0, len(answer), step):
                    writer.write(answer[at : at + step])
                    await asyncio.sleep(0)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], bodies


async def test_it_counts_what_was_answered_and_never_sends_the_same_twice() -> None:
    async with door(b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}") as (port, bodies):
        found = await rate(port, "key", connections=4, seconds=0.1)

    assert found["answered"] == bodies.total() == len(bodies)
    assert 0 < found["p50_ms"] <= found["p99_ms"]


async def test_an_answer_in_pieces_is_one_answer() -> None:
    async with door(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nabcd", pieces=5) as (port, bodies):
        found = await rate(port, "key", connections=1, seconds=0.1)

    assert found["answered"] == bodies.total()


async def test_a_door_that_refuses_is_no_door_that_is_fast() -> None:
    async with door(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n") as (port, _):
        with pytest.raises(RuntimeError, match=r"answered .*503"):
            await rate(port, "key", connections=2, seconds=0.1)


def test_every_request_is_of_one_length_and_has_an_id_of_its_own() -> None:
    request = requests(8000, "key")

    made = [request() for _ in range(9)]

    assert len({len(one) for one in made}) == 1
    assert len({one.split(b"ce-id: ")[1][:36] for one in made}) == len(made)
