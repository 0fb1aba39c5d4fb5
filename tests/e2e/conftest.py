"""The whole system, as `trunkline up` runs it, and the clients of somebody who knows nothing of us."""

import asyncio
import email
import email.policy
import json
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx
import nats
import pytest
from nats.aio.client import Client
from redis.asyncio import Redis

from launcher.servers import PostgresServer
from tests.until import until

FINAL = {"succeeded", "dead", "cancelled", "expired"}


@dataclass(frozen=True)
class System:
    """A running system: what its state.json says."""

    data: Path
    environment: dict[str, str]

    @property
    def state(self) -> dict[str, Any]:
        return json.loads((self.data / "state.json").read_text())

    def pid(self, process: str) -> int:
        return self.state["processes"][process]["pid"]

    def mails(self) -> list[EmailMessage]:
        folder = Path(self.state["mail"]) / "new"
        return [
            email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
            for path in sorted(folder.iterdir())
        ]

    def mails_to(self, address: str) -> list[EmailMessage]:
        return [mail for mail in self.mails() if address in str(mail["To"])]

    async def mail_to(self, address: str, *, within: float = 10.0) -> EmailMessage:
        async def arrived() -> list[EmailMessage]:
            return await asyncio.to_thread(self.mails_to, address)

        return (await until(arrived, within=within, what=f"a mail to {address}"))[0]

    def log(self, service: str) -> str:
        return "".join(path.read_text() for path in sorted((self.data / "logs").glob(f"{service}*.log")))


def trunkline(*words: str, environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "launcher", *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


MAIL_ONLY = tuple(
    word for service in ("inventory", "file", "report", "scheduler") for word in ("--scale", f"{service}=0")
)
"""Options of a system in which registered users get their mails, and nobody does anything else."""

StartSystem = Callable[..., System]


@pytest.fixture(scope="session")
def start_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartSystem]:
    started: list[System] = []

    def start(*options: str, **environment: str) -> System:
        env = {**os.environ, "LOG_FORMAT": "json", **environment}
        system = System(tmp_path_factory.mktemp("system") / "data", env)
        words = ["--data", str(system.data), "--port", "0", "--monitor-port", "0", *options]
        trunkline("up", "--detach", *words, environment=env)
        started.append(system)
        return system

    yield start
    for system in started:
        trunkline("down", "--data", str(system.data), environment=system.environment)
        # As root its cluster lies outside of the data folder, where a user without rights can reach it.
        asyncio.run(PostgresServer(system.data / "postgres").delete())


@pytest.fixture(scope="session")
def system(start_system: StartSystem) -> System:
    """One system for all tests that break nothing; a short lease, so that a test need not wait long."""
    return start_system(LEASE="3")


@dataclass(frozen=True)
class Outside:
    """Plain clients of the gateway and of both buses."""

    http: httpx.AsyncClient
    redis: Any
    nats: Client

    async def final(self, job_id: str, *, within: float = 15.0) -> dict[str, Any]:
        async def ended() -> dict[str, Any] | None:
            answer = await self.http.get(f"/v1/jobs/{job_id}", params={"wait": 10})
            job = answer.json() if answer.is_success else {}
            return job if job.get("state") in FINAL else None

        return await until(ended, within=within, what=f"the end of {job_id}")


async def connect(system: System, stack: AsyncExitStack) -> Outside:
    state = system.state
    http = await stack.enter_async_context(
        httpx.AsyncClient(
            base_url=state["gateway"],
            headers={"Authorization": f"Bearer {state['api_key']}"},
            timeout=30,
        )
    )
    redis = Redis.from_url(state["redis"])
    stack.push_async_callback(redis.aclose)
    connection = await nats.connect(state["nats"])
    stack.push_async_callback(connection.close)
    return Outside(http, redis, connection)


@pytest.fixture
async def outside(system: System) -> AsyncGenerator[Outside]:
    async with AsyncExitStack() as stack:
        yield await connect(system, stack)
