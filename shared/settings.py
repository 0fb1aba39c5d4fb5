"""The environment in, one frozen Settings out: each value also from a file named by `<NAME>_FILE`."""

import os
import stat
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from shared.errors import SettingsError


def _seconds(value: object) -> object:
    """A plain number in the environment is a count of seconds."""
    if isinstance(value, str):
        try:
            return timedelta(seconds=float(value))
        except ValueError:
            return value
    return value


def _positive(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise ValueError("must be longer than 0 s")
    return value


Duration = Annotated[timedelta, BeforeValidator(_seconds), AfterValidator(_positive)]
"""A length of time: seconds (`30`, `0.5`) or ISO 8601 (`PT30S`)."""

Secret = SecretStr
"""A value that never shows in a repr or a log."""


class Settings(BaseSettings):
    """What every process reads; a service adds its own fields in its settings.py."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", hide_input_in_errors=True, use_attribute_docstrings=True
    )

    redis_url: Secret = Secret("redis://127.0.0.1:6379/0")
    """Redis 8: job state, and events when `redis` is in BUSES."""
    nats_url: Secret = Secret("nats://127.0.0.1:4222")
    """NATS with JetStream; read only when `nats` is in BUSES."""
    buses: str = "redis+nats"
    """The buses that are on: `redis`, `nats` or `redis+nats`."""
    bus_routes: str = "email.*,file.*,report.*,user.*=redis;order.*,inventory.*,warehouse.*,cron.*=nats"
    """Which bus a type is published on: `pattern,pattern=bus;...`, the first match wins."""
    dedupe_window: Duration = timedelta(hours=2)
    """How long a bus remembers an event id and drops a second publish of it."""
    event_ttl: Duration = timedelta(hours=24)
    """How long a Redis stream that no handler listens to keeps its events; what is listened to is kept."""
    lease: Duration = timedelta(seconds=30)
    """How long a job belongs to a worker that is silent; renewed every third of it."""
    grace: Duration = timedelta(seconds=25)
    """How long running jobs or requests may take to end after SIGTERM."""
    result_ttl: Duration = timedelta(hours=24)
    """How long a finished job can be read from Redis."""
    dead_ttl: Duration = timedelta(days=30)
    """How long a dead job can be read from Redis, and replayed."""
    loop_blocked_after: Duration = timedelta(seconds=1)
    """How long one function may hold the event loop before a warning with its stack is logged."""
    metrics_port: int | None = None
    """Where /livez, /readyz and /metrics are served (`--workers N`: from this port on); none when unset."""
    metrics_host: str = "127.0.0.1"
    """The address that METRICS_PORT is opened on."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The lowest level that is logged."""
    log_format: Literal["json", "text"] | None = None
    """One JSON object a line, or text for people; unset: text on a terminal."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments first, then files, then the environment; no .env file is read."""
        del dotenv_settings, file_secret_settings
        return init_settings, _FilesSource(settings_cls), env_settings

    @classmethod
    def load(cls) -> Self:
        """The settings of this process; SettingsError says which value is wrong and why."""
        try:
            return cls()
        except ValidationError as error:
            faults = "; ".join(
                f"{str(fault['loc'][0]).upper() if fault['loc'] else 'settings'}: {fault['msg']}"
                for fault in error.errors(include_url=False, include_input=False)
            )
            raise SettingsError(faults) from None


class _FilesSource(PydanticBaseSettingsSource):
    """Reads `<NAME>_FILE`: the form in which Docker and Kubernetes hand out secrets."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        """The stripped content of the file that `<NAME>_FILE` names, if it is set."""
        del field
        return _read(os.environ, field_name.upper()), field_name, False

    def __call__(self) -> dict[str, Any]:
        """The fields that come from files."""
        found: dict[str, Any] = {}
        for name, field in self.settings_cls.model_fields.items():
            value, _, _ = self.get_field_value(field, name)
            if value is not None:
                found[name] = value
        return found


def _read(environ: Mapping[str, str], name: str) -> str | None:
    path = environ.get(f"{name}_FILE")
    if path is None:
        return None
    if name in environ:
        raise SettingsError(f"{name} and {name}_FILE are both set; keep one")
    try:
        mode = Path(path).stat().st_mode
        content = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{name}_FILE: cannot read {path}: {error}") from error
    if mode & stat.S_IWOTH:
        raise SettingsError(f"{name}_FILE: {path} can be written by everybody; chmod o-w it")
    return content
