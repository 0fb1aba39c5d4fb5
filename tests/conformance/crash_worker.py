"""A worker process that a test may kill: `python -m tests.conformance.crash_worker`."""

import asyncio
import os
import time
from contextlib import suppress

from shared.jobs import Handlers, Job
from shared.service import Service
from shared.settings import Settings
from tests.conformance.conftest import Asked

handlers = Handlers("lab")


@handlers.on(Asked, concurrency=8)
async def answer(event: Asked, job: Job) -> dict[str, int]:
    """Take a while, or take the process down, as the event asks for."""
    if event.what == "exit":
        await asyncio.sleep(event.n / 1000)
        os._exit(1)
    while event.what == "deaf":
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
    if event.what == "block" and job.attempt == 1:
        time.sleep(event.n / 1000)  # noqa: ASYNC251 - this is the fault that is tried
        return {"pid": os.getpid(), "attempt": job.attempt}
    await asyncio.sleep(event.n / 1000)
    return {"pid": os.getpid(), "attempt": job.attempt}


if __name__ == "__main__":
    Service("lab", handlers, Settings.load()).main()
