"""What services are told: what the user gave and what the launcher made in, a child's variables out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from launcher.ports import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Mapping

SCOPES = "publish+read+operate+admin"
_DEFAULT_GRACE = timedelta(seconds=25)


@dataclass(frozen=True)
class Given:
    """The user's own environment. A setting counts as given as NAME or as NAME_FILE, a file that holds it."""

    variables: Mapping[str, str]

    def get(self, name: str) -> str | None:
        """The setting's value; None when the user left it to us."""
        if value := self.variables.get(name):
            return value
        file = self.variables.get(f"{name}_FILE")
        return Path(file).read_text(encoding="utf-8").strip() if file else None

    def grace(self) -> timedelta:
        """How long a service may drain: GRACE in seconds. What we cannot read, the services refuse."""
        try:
            return timedelta(seconds=float(self.variables["GRACE"]))
        except (KeyError, ValueError):
            return _DEFAULT_GRACE

    def api_key(self) -> str | None:
        """The first key of API_KEYS that is given in clear; None when there is none."""
        keys = (entry.partition("=")[0].strip() for entry in (self.get("API_KEYS") or "").split(","))
        return next((key for key in keys if key and not key.startswith("sha256:")), None)

    def with_defaults(self, defaults: Mapping[str, str]) -> dict[str, str]:
        """The user's variables, and those of ours that the user did not give."""
        ours = {name: value for name, value in defaults.items() if self.get(name) is None}
        return {**self.variables, **ours}


@dataclass(frozen=True)
class Wiring:
    """What all services share: where the servers are. `otlp_port` is None without a monitor to take spans."""

    redis: str
    nats: str
    nats_monitor: str | None
    postgres: str
    smtp: str
    api_key: str
    files: Path
    monitor_data: Path
    otlp_port: int | None
    log_format: str
    warehouse: Mapping[str, str]
    """WAREHOUSE_* of a receiver of ours; none where the user has one."""
    gateway: str | None = None
    mail: Path | None = None
    """The Maildir of an inbox of ours; None where mail goes elsewhere."""

    def defaults(self) -> dict[str, str]:
        """The settings that the user's own override."""
        settings = {
            "REDIS_URL": self.redis,
            "NATS_URL": self.nats,
            "DATABASE_URL": self.postgres,
            "SMTP_URL": self.smtp,
            "API_KEYS": f"{self.api_key}={SCOPES}",
            "FILES_URL": self.files.as_uri(),
            "MONITOR_DATA": str(self.monitor_data),
            "LOG_FORMAT": self.log_format,
            "PYTHONUNBUFFERED": "1",
            **self.warehouse,
        }
        if self.mail:
            settings["MONITOR_MAIL"] = str(self.mail)
        if self.gateway:
            settings["GATEWAY_URL"] = self.gateway
        if self.nats_monitor:
            settings["NATS_MONITOR_URL"] = self.nats_monitor
        if self.otlp_port:
            settings["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://{LOOPBACK}:{self.otlp_port}"
            # Somebody watches: a trace shows up at once, not after the exporter's usual 5 s.
            settings["OTEL_BSP_SCHEDULE_DELAY"] = "250"
        return settings


def environment_of(given: Given, wiring: Wiring, *, metrics_port: int, port: int | None) -> dict[str, str]:
    """Variables of one process. Ports are ours: a PORT around us is not meant for all of them."""
    ports = {"METRICS_PORT": str(metrics_port)}
    if port is not None:
        ports["PORT"] = str(port)
    if wiring.otlp_port is not None:
        ports["OTLP_PORT"] = str(wiring.otlp_port)
    return common_environment(given, wiring) | ports


def common_environment(given: Given, wiring: Wiring) -> dict[str, str]:
    """The variables that all services share."""
    return given.with_defaults(wiring.defaults()) | source_path(given.variables)


def source_path(variables: Mapping[str, str]) -> dict[str, str]:
    """PYTHONPATH for children to import what we were imported from; nothing in an installation."""
    root = Path(__file__).resolve().parents[1]
    if root.name in {"site-packages", "dist-packages"}:
        return {}
    known = variables.get("PYTHONPATH")
    return {"PYTHONPATH": f"{known}:{root}" if known else str(root)}
