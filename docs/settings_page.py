"""The page of all settings, from the Settings of each service."""

from datetime import timedelta
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from email_service.settings import EmailSettings
from file_service.settings import FileSettings
from gateway.settings import GatewaySettings
from inventory_service.settings import InventorySettings
from monitor.settings import Settings as MonitorSettings
from report_service.settings import ReportSettings
from scheduler.settings import SchedulerSettings
from shared.settings import Settings

_HEAD = """# Settings

Written by `make docs` from the code; do not edit. Each is an environment variable; each can come from a file instead,
named by `<NAME>_FILE`. Durations are seconds (`30`, `0.5`) or ISO 8601 (`PT30S`). Standard `OTEL_*` variables are
obeyed by every process. A wrong value stops the start with one line that names it.
"""


def settings_page() -> str:
    """The page as Markdown."""
    parts = [_HEAD, _table("Every process", Settings, set())]
    shared = set(Settings.model_fields)
    parts += [
        _table("Gateway", GatewaySettings, shared),
        _table("Email service", EmailSettings, shared),
        _table("Inventory service", InventorySettings, shared),
        _table("Scheduler", SchedulerSettings, shared),
        _table("File service", FileSettings, shared),
        _table("Report service", ReportSettings, shared),
        _table("Monitor", MonitorSettings, shared),
    ]
    return "\n".join(parts)


def _table(title: str, settings: type[Settings], known: set[str]) -> str:
    lines = [f"\n## {title}\n", "| setting | default | meaning |", "|---|---|---|"]
    for name, field in sorted(settings.model_fields.items()):
        if name not in known:
            meaning = " ".join((field.description or "").split()).replace("|", "\\|")
            lines.append(f"| `{name.upper()}` | {_default(field)} | {meaning} |")
    return "\n".join(lines) + "\n"


def _default(field: FieldInfo) -> str:
    value: Any = field.get_default(call_default_factory=True, validated_data={})
    if field.is_required():
        return "required"
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, timedelta):
        return f"{value.total_seconds():.12g} s"
    if isinstance(value, tuple):
        value = ",".join(str(one) for one in value)
    text = str(value).replace("|", "\\|")
    return f"`{text}`" if text not in {"", "None"} else "-"
