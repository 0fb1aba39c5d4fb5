"""The HTTP door: requests a second at 64 connections, and the time from a request to its handler's start.

Ours is the gateway: it checks a key, the event and its contract, commits it to Postgres, publishes it. The
others are FastAPI applications that check a body and enqueue a job (bench/doors); `bare` reads and answers.
"""

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from bench.entrants import PEERS, ROOT, Entrant, entrants
from bench.ours import Lab
from bench.ours.database import emptied, migrated_postgres
from bench.ours.lab import answer, published, start
from bench.result import Measurement, merge
from bench.stage import stage
from bench.watch import Watch
from launcher.ports import free_port
from launcher.probes import ask
from launcher.process import until_ready
from launcher.servers import PostgresServer, RedisServer

CONNECTIONS = 64
_OURS = {"": False, "and handles events": True}
"""Our variants: whether that gateway works on the events of shop, files and reports, too."""
_FLOORS = {"bare": "FastAPI alone", "xadd": "FastAPI + XADD"}
_TIMED = ("saq", "taskiq", "celery")
"""The peers whose time to the handler is taken: one of each kind will do."""
_DOORS = Path(__file__).parents[1] / "doors"
_GRACE = timedelta(seconds=10)
_START_LIMIT = timedelta(seconds=30)
_LIMIT = timedelta(seconds=60)
_PUBLISHED_LIMIT_S = 20.0


@dataclass(frozen=True, kw_only=True)
class _Size:
    seconds: float
    samples: int


@dataclass(frozen=True, kw_only=True)
class _Door:
    """One that is open, and who stands behind it."""

    name: str
    title: str
    port: int
    variant: str = ""
    key: str = "none"
    lab: Lab | None = None
    """Ours."""


async def measure(*, rounds: int, quick: bool, say: Callable[[str], None]) -> list[Measurement]:
    """`door` in requests/s, `door_p99` of the answers in ms; `door_start_p50` and `door_start_p99` in ms."""
    size = _Size(seconds=0.7, samples=20) if quick else _Size(seconds=2.0, samples=40)
    found: list[Measurement] = []
    peers = await _peers(say)
    async with AsyncExitStack() as stack:
        doors = await _open_all(stack, peers, say)
        for _ in range(rounds):
            for door in doors:
                found += await _unless_it_fails(door.title, _rate(door, size, say), say)
    async with migrated_postgres() as postgres:
        for _ in range(rounds):
            found += await _starts_of_ours(postgres, size, say)
            for peer in peers:
                if peer.name in _TIMED:
                    found += await _unless_it_fails(peer.title, _starts_of(peer, size, say), say)
    return merge(found)


async def _unless_it_fails(
    title: str, measuring: Coroutine[Any, Any, list[Measurement]], say: Callable[[str], None]
) -> list[Measurement]:
    """What was measured; nothing when it failed, which is told and does not end the others."""
    try:
        return await measuring
    except (RuntimeError, TimeoutError, ChildProcessError) as error:
        say(f"door of {title} failed: {error!r}")
        return []


async def _peers(say: Callable[[str], None]) -> list[Entrant]:
    """Those that have a door, and whose packages are here."""
    names = [name for name in PEERS if (_DOORS / f"{name}.py").is_file()]
    found, failures = await entrants(names) if names else ([], [])
    for failure in failures:
        say(f"door: {failure}")
    return found


async def _open_all(stack: AsyncExitStack, peers: list[Entrant], say: Callable[[str], None]) -> list[_Door]:
    """All doors, each with servers of its own; they are at rest but for the one that is measured."""
    doors: list[_Door] = []
    # In the peers' environment, as they are; without one, in ours.
    python = peers[0].python if peers else Path(sys.executable)
    for name, title in _FLOORS.items():
        redis = await stack.enter_async_context(_redis())
        port = await stack.enter_async_context(_door(name, python, {**os.environ, "REDIS_URL": redis.url}))
        doors.append(_Door(name=name, title=title, port=port))
    for variant, handles_events in _OURS.items():
        postgres = await stack.enter_async_context(migrated_postgres())
        lab = await stack.enter_async_context(Lab.open(postgres=postgres))
        await lab.make_groups()
        port, _ = await stack.enter_async_context(lab.gateway(handles_events=handles_events))
        doors.append(
            _Door(name="trunkline", title="Trunkline", port=port, variant=variant, key=lab.api_key, lab=lab)
        )
    for peer in peers:
        try:
            here = await stack.enter_async_context(stage(peer))
            port = await stack.enter_async_context(_door(peer.name, peer.python, peer.environment(here.urls)))
        except (RuntimeError, TimeoutError, ChildProcessError) as error:
            say(f"door of {peer.title}: {error!r}")
            continue
        doors.append(_Door(name=peer.name, title=f"FastAPI + {peer.title}", port=port))
    return doors


async def _rate(door: _Door, size: _Size, say: Callable[[str], None]) -> list[Measurement]:
    """Requests a second of one door; of ours, once all that it accepted is published."""
    watch = Watch.start()
    before = await published(door.lab) if door.lab else 0
    found = await answer(
        (
            *("bench.http_load", "rate", "--port", str(door.port), "--key", door.key),
            *("--connections", str(CONNECTIONS), "--seconds", str(size.seconds)),
        ),
        limit=_LIMIT,
    )
    note = ""
    if door.lab:
        behind = before + int(found["answered"]) - await published(door.lab)
        note = f"durable commit in Postgres, published: {max(behind, 0):,} were behind when the load ended"
        async with asyncio.timeout(_PUBLISHED_LIMIT_S):
            while await published(door.lab) < before + found["answered"]:  # noqa: ASYNC110 - of other processes
                await asyncio.sleep(0.01)
    say(f"door of {door.title} {door.variant}: {found['per_s']:,.0f} requests/s {note}")
    one = partial(
        Measurement,
        contender=door.name,
        title=door.title,
        variant=door.variant,
        load=[watch.others()],
        note=note,
    )
    return [
        one(figure="door", unit="requests/s", values=[found["per_s"]]),
        one(figure="door_p99", unit="ms", values=[found["p99_ms"]]),
    ]


async def _starts_of_ours(
    postgres: PostgresServer, size: _Size, say: Callable[[str], None]
) -> list[Measurement]:
    await emptied(postgres)
    async with (
        Lab.open(postgres=postgres) as lab,
        lab.worker(ready=True) as tallies,
        lab.gateway() as (port, _),
    ):
        door = _Door(name="trunkline", title="Trunkline", port=port, key=lab.api_key)
        return await _starts(door, tallies, size, say)


async def _starts_of(peer: Entrant, size: _Size, say: Callable[[str], None]) -> list[Measurement]:
    async with (
        stage(peer) as here,
        _door(peer.name, peer.python, peer.environment(here.urls)) as port,
    ):
        here.start_workers(1, peer.concurrency)
        door = _Door(name=peer.name, title=f"FastAPI + {peer.title}", port=port)
        return await _starts(door, here.tallies, size, say)


async def _starts(door: _Door, tallies: Path, size: _Size, say: Callable[[str], None]) -> list[Measurement]:
    """The time from before a request is sent to the start of its handler, at rest."""
    watch = Watch.start()
    found = await answer(
        (
            *("bench.http_load", "starts", "--port", str(door.port), "--key", door.key),
            *("--tally", str(tallies), "--samples", str(size.samples)),
        ),
        limit=_LIMIT,
    )
    say(f"request to handler, {door.title}: p50 {found['p50_ms']:.1f} ms, p99 {found['p99_ms']:.1f} ms")
    return [
        Measurement(
            figure=f"door_start_{name}",
            contender=door.name,
            title=door.title,
            unit="ms",
            values=[found[f"{name}_ms"]],
            load=[watch.others()],
        )
        for name in ("p50", "p99")
    ]


@asynccontextmanager
async def _door(name: str, python: Path, environment: Mapping[str, str]) -> AsyncGenerator[int]:
    """A FastAPI application of bench/doors in one process, run as its users do."""
    port = free_port()
    words = (
        *("uvicorn", f"bench.doors.{name}:app", "--port", str(port), "--loop", "uvloop"),
        *("--http", "httptools", "--no-access-log", "--log-level", "warning"),
    )
    process = start(words, {**environment, "PYTHONPATH": str(ROOT)}, python=str(python))
    try:
        await until_ready(process, partial(_answers, port), _START_LIMIT)
        yield port
    except ChildProcessError as error:
        raise RuntimeError(f"the door of {name} {error}: {' / '.join(process.last_lines()[-3:])}") from error
    finally:
        await process.stop(_GRACE)


@asynccontextmanager
async def _redis() -> AsyncGenerator[RedisServer]:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        async with RedisServer(Path(folder, "redis"), durable=False) as server:
            yield server


async def _answers(port: int) -> bool:
    return await ask(port, b"GET / HTTP/1.1\r\nHost: door\r\n\r\n") is not None
