"""A job is followed over a line that breaks: through a proxy that cuts its connections."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from operating import MAIL, System

from launcher.operate.asking import Operator
from launcher.operate.following import followed
from shared.api import GatewayApi, Refusal, Unreachable


@dataclass
class Line:
    """A proxy in front of a gateway; closed, it lets nobody in."""

    target: str
    port: int = 0
    used: int = 0
    is_closed: bool = False
    writers: list[asyncio.StreamWriter] = field(default_factory=list[asyncio.StreamWriter])

    def cut(self) -> None:
        for writer in self.writers:
            writer.close()
        self.writers.clear()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_closed:
            writer.close()
            return
        self.used += 1
        address = urlsplit(self.target)
        upstream_reader, upstream_writer = await asyncio.open_connection(address.hostname, address.port)
        self.writers += [writer, upstream_writer]
        await asyncio.gather(_copy(reader, upstream_writer), _copy(upstream_reader, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while part := await reader.read(65536):
            writer.write(part)
            await writer.drain()
    except OSError:
        pass
    writer.close()


@asynccontextmanager
async def _line(system: System) -> AsyncGenerator[tuple[Line, Operator]]:
    line = Line(system.url)
    server = await asyncio.start_server(line.serve, "127.0.0.1", 0)
    line.port = server.sockets[0].getsockname()[1]
    async with server, GatewayApi(f"http://127.0.0.1:{line.port}", "all-of-it") as api:
        yield line, Operator(api, as_json=False)
        line.cut()


def _waiting(system: System) -> str:
    system.run("handlers", "pause", "lab.send")
    accepted = system.run("events", "publish", "email.requested", json.dumps(MAIL), "--json").json
    return str(accepted["jobs"][0]["id"])


async def test_a_stream_that_breaks_is_opened_again_where_it_was(system: System) -> None:
    job_id = await asyncio.to_thread(_waiting, system)

    async with asyncio.timeout(20), _line(system) as (line, who):
        states: list[str] = []
        async for job in followed(who, job_id):
            states.append(job["state"])
            if len(states) == 1:
                line.cut()
                await asyncio.to_thread(system.run, "handlers", "resume", "lab.send")

    assert (states[0], states[-1]) == ("queued", "succeeded")
    assert line.used >= 2


async def test_a_gateway_that_does_not_come_back_is_given_up(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("launcher.operate.following._LONGEST_SILENCE_S", 0.3)
    job_id = await asyncio.to_thread(_waiting, system)

    async with asyncio.timeout(20), _line(system) as (line, who):
        states = followed(who, job_id)
        await anext(states)
        line.is_closed = True
        line.cut()
        with pytest.raises(Unreachable):
            await anext(states)
    await asyncio.to_thread(system.run, "handlers", "resume", "lab.send")


async def test_nobody_there_from_the_beginning_and_an_unknown_job_are_told_at_once(
    system: System,
) -> None:
    async with _line(system) as (line, who):
        with pytest.raises(Refusal, match="404"):
            await anext(followed(who, "lab.send:unknown"))
        line.is_closed = True
        line.cut()
        with pytest.raises(Unreachable):
            await anext(followed(who, "lab.send:unknown"))
