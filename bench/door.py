"""How many events a second come in through POST /v1/events, durable commit and publishing included."""

import asyncio
import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

from bench.http_load import load
from launcher.ports import free_port
from launcher.servers import PostgresServer

CONNECTIONS = 64
USER = json.dumps({"user_id": "u1", "name": "Ada Lovelace", "email": "ada@example.com"}).encode()


@dataclass(frozen=True)
class Door:
    """One measurement."""

    name: str
    requests_per_s: float


async def measure_doors(seconds: float, rounds: int) -> list[Door]:
    """The gateway and a bare FastAPI application in turns."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "data")
        environment = {
            **os.environ,
            "LOG_LEVEL": "warning",
            "SMTP_URL": "smtp://127.0.0.1:9",
            "OTEL_SDK_DISABLED": "true",
        }
        await _run(
            "launcher",
            "up",
            "--detach",
            "--data",
            str(data),
            "--port",
            "0",
            "--monitor-port",
            "0",
            "--scale",
            "email=0",
            environment=environment,
        )
        bare_port = free_port()
        bare = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "uvicorn", "bench.bare:app", "--port", str(bare_port),
            "--log-level", "warning", "--no-access-log", "--loop", "uvloop", "--http", "httptools",
        )  # fmt: skip
        try:
            state = json.loads((data / "state.json").read_text())
            gateway_port = urlsplit(state["gateway"]).port or 0
            doors: list[Door] = []
            for _ in range(rounds):
                doors.append(
                    await _door("POST /v1/events of the gateway", gateway_port, state["api_key"], seconds)
                )
                doors.append(await _door("POST of a bare FastAPI", bare_port, "none", seconds))
            return doors
        finally:
            bare.terminate()
            await bare.wait()
            await _run("launcher", "down", "--data", str(data), environment=environment)
            # As root its cluster lies outside of the temporary folder.
            await PostgresServer(data / "postgres").delete()


async def _door(name: str, port: int, key: str, seconds: float) -> Door:
    began = time.monotonic()
    answered = await load(
        port, lambda: _request(port, key), connections=CONNECTIONS, seconds=seconds, status=b"202"
    )
    return Door(name, answered / (time.monotonic() - began))


def _request(port: int, key: str) -> bytes:
    head = (
        f"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(USER)}\r\n"
        f"ce-specversion: 1.0\r\nce-id: {uuid4()}\r\nce-source: /bench\r\nce-type: user.registered\r\n\r\n"
    )
    return head.encode() + USER


async def _run(module: str, *words: str, environment: dict[str, str]) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *words, env=environment, stdout=asyncio.subprocess.DEVNULL
    )
    if await process.wait() != 0:
        raise RuntimeError(f"{module} {words[0]} failed")
