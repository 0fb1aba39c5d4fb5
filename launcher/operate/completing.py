"""The beginning of a word in; names of the running system that begin so out, quickly, or silently none."""

import asyncio
from typing import Any, Final

import typer

from launcher.data_folder import DEFAULT
from launcher.errors import LauncherError
from launcher.operate.asking import LONGEST_PAGE, at, items_of
from shared.api import Refusal, Unreachable

_LIMIT_S: Final = 0.7
"""Who presses Tab waits no longer."""


def handler_names(context: typer.Context, incomplete: str) -> list[str]:
    """Handlers that have announced themselves."""
    return _names(context, incomplete, "/v1/handlers")


def schedule_names(context: typer.Context, incomplete: str) -> list[str]:
    """Schedules that are entered."""
    return _names(context, incomplete, f"/v1/schedules?limit={LONGEST_PAGE}")


def service_names(context: typer.Context, incomplete: str) -> list[str]:
    """Services that have handlers."""
    return _names(context, incomplete, "/v1/handlers", member="service")


def event_types(context: typer.Context, incomplete: str) -> list[str]:
    """Types of events that are handled."""
    return _names(context, incomplete, "/v1/handlers", member="event_type")


def worker_ids(context: typer.Context, incomplete: str) -> list[str]:
    """Workers that are alive."""
    return _names(context, incomplete, "/v1/workers", member="id")


def _names(context: typer.Context, incomplete: str, path: str, *, member: str = "name") -> list[str]:
    given: dict[str, Any] = context.params
    try:
        found = asyncio.run(_asked(given, path))
    except (LauncherError, Refusal, Unreachable, OSError, ValueError):
        return []
    return sorted({str(item[member]) for item in found if str(item.get(member, "")).startswith(incomplete)})


async def _asked(given: dict[str, Any], path: str) -> list[Any]:
    async with at(given.get("data") or DEFAULT, given.get("url"), given.get("key")) as api:
        document = await api.get(path, quiet=True, limit_s=_LIMIT_S)
        return items_of(document if isinstance(document, dict) else {}, api)
