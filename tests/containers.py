"""Redis, NATS and Postgres in containers: what `launcher.servers` gives, from the images of compose.yaml.

TRUNKLINE_TEST_BROKERS=containers puts them in place of the wheels; REDIS_IMAGE, NATS_IMAGE and POSTGRES_IMAGE
choose others. Tests that start a server of their own keep the wheels.
"""

import asyncio
import os
import re
import shlex
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import asyncpg
import nats
from redis.asyncio import Redis
from testcontainers.core.container import DockerContainer

from launcher.ports import free_port
from tests.until import until

_COMPOSE = Path(__file__).resolve().parents[1] / "compose.yaml"
_START_LIMIT_S = 60.0


def image_of(variable: str) -> str:
    """The image that compose.yaml runs, or the one that the variable names in its place."""
    default = re.search(rf"\$\{{{variable}:-([^}}]+)\}}", _COMPOSE.read_text(encoding="utf-8"))
    assert default is not None, f"compose.yaml has no {variable}"
    return os.environ.get(variable, default.group(1))


class ContainerServer(ABC):
    """One container; its port on this machine stays the same over kill() and start()."""

    def __init__(
        self, image: str, port: int, *, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> None:
        self.port = free_port()
        self._container = DockerContainer(image, command=shlex.join(command)).with_bind_ports(port, self.port)
        self._container = self._container.with_envs(**(environment or {}))
        self._exists = False

    @property
    @abstractmethod
    def url(self) -> str:
        """Where clients find it."""

    @abstractmethod
    async def ask(self) -> None:
        """Return when it answers; raises when it does not."""

    async def start(self) -> None:
        """Start it, for the first time or again, and wait until it answers."""
        if self._exists:
            await asyncio.to_thread(self._container.get_wrapped_container().start)
        else:
            await asyncio.to_thread(self._container.start)
            self._exists = True
        await until(self._answers, within=_START_LIMIT_S, what=f"{self.url} answers")

    async def kill(self) -> None:
        """SIGKILL it; the container stays, with its data."""
        await asyncio.to_thread(self._container.get_wrapped_container().kill)

    async def delete(self) -> None:
        """Remove it, with its data; harmless when it was never started."""
        if self._exists:
            await asyncio.to_thread(self._container.stop)

    async def _answers(self) -> bool:
        try:
            async with asyncio.timeout(2):
                await self.ask()
        except Exception:  # noqa: BLE001 - whatever a client says: it does not answer yet
            return False
        return True

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.delete()


class RedisContainer(ContainerServer):
    """Redis with an append-only file."""

    def __init__(self) -> None:
        options = ["--appendonly", "yes", "--save", "", "--hash-max-listpack-value", "2048"]
        command = ["redis-server", *options, "--protected-mode", "no", "--dir", "/data"]
        super().__init__(image_of("REDIS_IMAGE"), 6379, command=command)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    async def ask(self) -> None:
        async with Redis.from_url(self.url) as redis:
            await redis.ping()


class NatsContainer(ContainerServer):
    """NATS with JetStream."""

    def __init__(self) -> None:
        super().__init__(image_of("NATS_IMAGE"), 4222, command=["--jetstream", "--store_dir", "/data"])

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    async def ask(self) -> None:
        connection = await nats.connect(self.url, allow_reconnect=False, connect_timeout=1)
        try:
            await connection.jetstream().account_info()
        finally:
            await connection.close()


class PostgresContainer(ContainerServer):
    """Postgres with a database of nobody's."""

    def __init__(self) -> None:
        command = ["postgres", "-c", "fsync=off", "-c", "max_connections=300"]
        environment = {"POSTGRES_PASSWORD": "trunkline"}
        super().__init__(image_of("POSTGRES_IMAGE"), 5432, command=command, environment=environment)

    @property
    def url(self) -> str:
        return f"postgresql://postgres:trunkline@127.0.0.1:{self.port}/postgres"

    async def ask(self) -> None:
        connection = await asyncpg.connect(self.url, timeout=2)
        await connection.close()
