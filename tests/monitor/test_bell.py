"""The bell: it rings for the log of jobs and for orders, and it stops."""

import asyncio
from datetime import timedelta
from typing import Any, cast

from monitor.live.bell import Bell
from shared.jobs import JobLog

WAIT_S = 10.0


class Deaf:
    """A log whose client loses a cancellation, as one may that comes with an answer."""

    def __init__(self) -> None:
        self.is_read = asyncio.Event()

    async def last_id(self) -> str:
        return "0-0"

    async def read(self, after: str, *, block: timedelta, count: int = 500) -> list[Any]:
        del after, count
        self.is_read.set()
        try:
            await asyncio.sleep(block.total_seconds())
        except asyncio.CancelledError:
            return []
        return []


async def test_it_stops_though_a_cancellation_is_lost() -> None:
    log = Deaf()

    async with asyncio.timeout(WAIT_S), Bell(cast("JobLog", log)):
        await log.is_read.wait()


async def test_an_order_rings_for_who_waits() -> None:
    log = Deaf()

    async with asyncio.timeout(WAIT_S), Bell(cast("JobLog", log)) as bell:
        await log.is_read.wait()
        waiting = asyncio.create_task(bell.rings_after(bell.count, limit_s=60))
        await asyncio.sleep(0)
        bell.ring()
        await waiting

    assert bell.count == 1
