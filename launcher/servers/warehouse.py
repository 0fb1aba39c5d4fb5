"""The warehouse of a local system: a file and a secret in, a URL for its webhook and the deliveries out."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from launcher.environment import source_path
from launcher.ports import LOOPBACK
from launcher.probes import http_ok
from launcher.process import Command
from launcher.servers.server import Server

if TYPE_CHECKING:
    from pathlib import Path


class WarehouseReceiver(Server):
    """Takes messages that are signed with the secret; its data is one file, a line for each delivery.

    `durable` changes nothing: the file is for looking at; it survives a crash, not a power cut.
    """

    name = "warehouse"

    def __init__(self, data: Path, secret: str, port: int | None = None, *, durable: bool = True) -> None:
        super().__init__(data, port, durable=durable)
        self.secret = secret

    @property
    def url(self) -> str:
        """http://127.0.0.1:port/hooks."""
        return f"http://{LOOPBACK}:{self.port}/hooks"

    async def command(self) -> Command:
        """Nothing is to be prepared."""
        env = {**os.environ, **source_path(os.environ), "WAREHOUSE_SECRET": self.secret}
        options = ("--deliveries", str(self.data), "--port", str(self.port))
        return Command(self.name, (sys.executable, "-P", "-m", "launcher.warehouse", *options), env=env)

    async def answers(self) -> bool:
        """It answers GET."""
        return await http_ok(self.port, "/")

    def deliveries(self) -> list[dict[str, Any]]:
        """All so far, oldest first: id, received_at and the message."""
        return [json.loads(line) for line in self.data.read_text(encoding="utf-8").splitlines()]
