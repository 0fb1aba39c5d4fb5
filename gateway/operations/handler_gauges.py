"""How each handler stands, as gauges: measured at each scrape, and gone while nobody can tell."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from gateway.operations.scale import Scale
from shared.bus.redis_streams import UNAVAILABLE
from shared.telemetry import Metrics

_LIMIT: Final = timedelta(seconds=3)  # Prometheus waits 10 s for a page

_GAUGES: Final = {
    "backlog": ("trunkline_handler_backlog", "Jobs that need a worker: unread, unacknowledged, due."),
    "oldest_age_s": ("trunkline_handler_oldest_age_seconds", "Since when the oldest of the backlog waits."),
    "waiting": ("trunkline_handler_waiting", "Jobs that wait for a retry or a later delivery."),
    "dead": ("trunkline_handler_dead", "Dead letters."),
    "workers": ("trunkline_handler_workers", "Processes that run the handler."),
}


async def show_handlers(metrics: Metrics, scale: Scale) -> None:
    """Set the gauges of all handlers; none while Redis is away, for an old number would be a wrong one."""
    try:
        async with asyncio.timeout(_LIMIT.total_seconds()):
            measured = await scale.every_handler()
    except UNAVAILABLE:
        measured = []
    for field, (name, description) in _GAUGES.items():
        metrics.by_handler(name, description, _known(measured, field))


def _known(measured: list[dict[str, Any]], field: str) -> Mapping[str, float]:
    return {handler["name"]: handler[field] for handler in measured if handler[field] is not None}
