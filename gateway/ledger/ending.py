"""A background task in, its end: cancelled as often as it takes."""

import asyncio

_AGAIN_S = 0.25


async def end(task: "asyncio.Task[None]") -> None:
    """Cancel the task and wait until it has ended; a failure of its own is not raised here.

    One cancel may be lost: until Python 3.12 asyncio.wait_for, and asyncpg to this day, return a result that
    arrives in the same turn of the loop in place of the cancellation (https://github.com/python/cpython/issues/86296).
    """
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=_AGAIN_S)
