"""The retries of one handler that are due, moved into its queue by whichever worker sees them first."""

import asyncio
from datetime import timedelta

from shared.bus.redis_streams import UNAVAILABLE
from shared.jobs.store import JobStore
from shared.telemetry import get_logger

_LOOK_EVERY = timedelta(seconds=1)


async def move_due_retries(store: JobStore, handler: str) -> None:
    """Run until cancelled; a retry is queued within a second of its instant, usually much sooner."""
    while True:
        wait = _LOOK_EVERY
        try:
            moved, until_next = await store.move_due(handler)
            if until_next is not None:
                wait = min(wait, until_next)
            if moved:
                wait = timedelta(0)
        except UNAVAILABLE as error:
            get_logger().warning("job.due_failed", handler=handler, error=str(error) or repr(error))
        await asyncio.sleep(max(wait.total_seconds(), 0.005))
