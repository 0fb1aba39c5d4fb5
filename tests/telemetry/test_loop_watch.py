"""A blocked event loop is told of, with the line that blocks it."""

import asyncio
import time
from datetime import timedelta
from typing import Any

from structlog.testing import capture_logs

from shared.telemetry.loop_watch import LoopWatch
from tests.until import until

LIMIT = timedelta(milliseconds=80)


def work_that_blocks(seconds: float) -> None:
    time.sleep(seconds)


async def watched(seconds: float) -> list[Any]:
    """What is told while the loop is blocked for so long, twice."""
    with capture_logs() as lines:
        watch = LoopWatch(LIMIT)
        await watch.start()
        for _ in range(2):
            await asyncio.sleep(LIMIT.total_seconds())
            work_that_blocks(seconds)
        await asyncio.sleep(LIMIT.total_seconds())
        await watch.stop()
    return lines


async def test_a_blocked_loop_is_told_of_once_each_time_with_what_blocks_it() -> None:
    lines = await watched(0.5)

    assert [line["event"] for line in lines] == ["loop.blocked"] * 2
    assert all("work_that_blocks" in line["stack"] for line in lines)
    assert all(line["blocked_s"] >= LIMIT.total_seconds() for line in lines)


async def test_a_loop_that_turns_is_left_alone() -> None:
    with capture_logs() as lines:
        watch = LoopWatch(timedelta(seconds=2))
        await watch.start()

        async def some_turns() -> bool:
            await asyncio.sleep(0.05)
            return True

        assert await until(some_turns)
        await watch.stop()

    assert lines == []
