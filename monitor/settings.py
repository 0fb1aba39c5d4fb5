"""The environment in, the monitor's frozen Settings out."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from monitor.door.keys import ApiKeys
from shared.settings import Duration, Secret
from shared.settings import Settings as SharedSettings


def _readable_keys(value: SecretStr) -> SecretStr:
    ApiKeys.parse(value.get_secret_value())
    return value


def _collector(value: str) -> str:
    address = urlsplit(value)
    if value and (address.scheme not in ("http", "https") or not address.hostname):
        raise ValueError("must be http://host:port or https://host:port")
    return value


class Settings(SharedSettings):
    """What the monitor reads beside what every process reads."""

    monitor_host: str = "127.0.0.1"
    """The address that PORT is opened on."""
    port: int = Field(default=8001, ge=0, le=65535)
    """TCP port of the pages, the query API and /metrics; 0 takes a free one."""
    otlp_port: int = Field(default=4318, ge=0, le=65535)
    """TCP port that takes spans as OTLP/HTTP; 0 takes a free one."""
    otlp_host: str = "127.0.0.1"
    """The address that OTLP_PORT is opened on. It asks for no key: open it in a closed network only."""
    otlp_forward_url: Annotated[str, AfterValidator(_collector)] = ""
    """Where the spans are sent on to, as they came: the OTLP/HTTP endpoint of Jaeger, say; best effort."""
    monitor_data: Path = Path(".trunkline/monitor")
    """The folder of traces.sqlite; made when it is missing, and used by one monitor at a time."""
    gateway_url: str | None = None
    """Where the gateway is, `http://host:port`: what the pages show and order. Unset: only traces."""
    monitor_secret: Secret = Secret("")
    """Seals the cookies of sessions; the same for all replicas. Unset: one that is made, in MONITOR_DATA."""
    monitor_mail: Path | None = None
    """The Maildir of an inbox that takes every mail of a local system; unset, there is no page of mails."""
    jaeger_url: Annotated[str, AfterValidator(_collector)] = ""
    """A Jaeger to read traces from, by its query API: `http://jaeger:16686`. Unset: what was sent here."""
    trace_ui_url: str = ""
    """Where people look at traces, with `{trace_id}` in it; unset, the monitor's own pages."""
    trace_spans_max: int = Field(default=500_000, ge=1)
    """How many spans are kept (a span takes about 0.5 kB on disk); whole traces go, the oldest first."""
    trace_retention: Duration = timedelta(hours=24)
    """How long a trace is kept after its last span came in."""
    api_keys: Annotated[SecretStr, AfterValidator(_readable_keys)] = SecretStr("")
    """Who may look, `<key>=<scope>+<scope>`, also while the gateway is away; it knows all other keys."""

    @model_validator(mode="after")
    def _two_ports(self) -> "Settings":
        if self.port and self.port == self.otlp_port:
            raise ValueError(f"PORT and OTLP_PORT are both {self.port}; give each its own")
        return self
