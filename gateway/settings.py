"""What the gateway reads from its environment beside what every service reads."""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_settings import NoDecode

from gateway.door.keys import ApiKeys
from shared.contracts import Currency
from shared.settings import Duration, Secret, Settings


class GatewaySettings(Settings):
    """The settings of one gateway process."""

    gateway_host: str = "127.0.0.1"
    """The address that the HTTP port is opened on."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    """The HTTP port; 0 takes any free one."""
    database_url: Secret = Secret("postgresql://127.0.0.1:5432/trunkline")
    """Postgres: the ledger of events and the history of jobs."""
    api_keys: Annotated[ApiKeys, NoDecode, BeforeValidator(ApiKeys.parse)] = ApiKeys()
    """`<key>=<scope>+<scope>` or `sha256:<hex>=<scopes>`, comma-separated; publish, read, operate, admin."""
    api_auth: Literal["on", "off"] = "on"
    """`off` lets everybody do everything without a key: for a closed network only."""
    body_max: Annotated[int, Field(ge=1)] = 1024 * 1024
    """The largest request body in bytes."""
    files_url: Secret = Secret("file:///tmp/trunkline/files")
    """Where files lie: `file:///folder`, `s3://bucket/prefix`, `gs://...`, `az://...`."""
    file_max_bytes: Annotated[int, Field(ge=1)] = 10_000_000_000
    """The largest file that may be uploaded, in bytes."""
    report_max_days: Annotated[int, Field(ge=1, le=3660)] = 366
    """How many days one report may be about; the report service reads it, too."""
    event_max: Annotated[int, Field(ge=1)] = 1_000_000
    """The largest event in bytes, data and attributes: a bus refuses more (NATS: its max_payload, 1 MiB)."""
    relay_backlog: Annotated[int, Field(ge=1)] = 50_000
    """How many committed events wait in memory for a bus; what is above it waits in Postgres alone."""
    sweep_every: Duration = timedelta(seconds=1)
    """How often the relay looks for committed events that nobody published, and how old they must be."""
    reconcile_after: Duration = timedelta(seconds=60)
    """How long a published event may be open before it is looked after: a lost job is queued again, once."""
    handles_events: bool = True
    """Whether this gateway works on events, too (what became of orders, files, reports); one of all must."""
    streams_per_key: Annotated[int, Field(ge=1)] = 5
    """How many event streams (SSE) one API key may have open in this process."""
    idempotency_ttl: Duration = timedelta(days=7)
    """How long the answer to a request with an `Idempotency-Key` is kept and replayed."""
    currency: Currency = "EUR"
    """The currency of all prices, ISO 4217; an order keeps the one it was placed in."""
    events_kept: Duration = timedelta(days=30)
    """How long settled events stay with the history of their jobs; shorter than DEAD_TTL: dead ones, too."""
    audit_kept: Duration = timedelta(days=365)
    """How long the lines of the audit stay."""
    trunkline_fault: Literal["", "after_commit", "before_commit", "after_answer"] = ""
    """A test's tool: where the process is to die (gateway/ledger/faults.py)."""

    @model_validator(mode="after")
    def _keys_or_none_wanted(self) -> Self:
        if self.api_auth == "on" and not self.api_keys:
            raise ValueError(
                "API_KEYS is empty: give <key>=<scope>+<scope>, or API_AUTH=off to let everybody in"
            )
        return self
