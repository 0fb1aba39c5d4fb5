"""A worker of the drill (-m launcher.drill.worker): DrillRequested in, one row in Postgres out."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from launcher.drill.broken import UnfencedStore, without_inbox
from shared.contracts import DrillRequested
from shared.db import connect
from shared.errors import SettingsError
from shared.jobs import Handlers, Job, Retry
from shared.jobs.store import JobStore
from shared.service import Service
from shared.settings import Secret, Settings
from shared.telemetry import Tracing

WORK = timedelta(milliseconds=50)

_EFFECT = text("""
    INSERT INTO drill.effects (n, job_id, attempt, worker) VALUES (:n, :job_id, :attempt, :worker)
""")
# An attempt ends with its worker or its database many times in a drill; that is no reason to bury the job.
_RETRY = Retry(attempts=100, base=timedelta(milliseconds=200), cap=timedelta(seconds=2))

Once = Callable[[Job, AsyncEngine], AbstractAsyncContextManager[Any]]


class DrillSettings(Settings):
    """The settings of a worker of the drill."""

    database_url: Secret = Secret("postgresql://127.0.0.1:5432/trunkline")
    """Postgres: where the effects are written."""
    trunkline_break: Literal["", "fence"] = ""
    """A test's tool: `fence` leaves out what keeps an effect at one."""


@dataclass(frozen=True, slots=True)
class Effects:
    """Writes the row of a job."""

    engine: AsyncEngine
    once: Once

    async def write(self, n: int, job: Job) -> None:
        """Commit the effect."""
        row = {"n": n, "job_id": job.id, "attempt": job.attempt, "worker": os.getpid()}
        async with self.once(job, self.engine) as tx:
            await tx.execute(_EFFECT, row)


handlers = Handlers("drill")


@handlers.on(DrillRequested, retry=_RETRY, time_limit=timedelta(minutes=1), concurrency=32)
async def write(event: DrillRequested, job: Job, effects: Effects) -> None:
    """Work for 50 ms, then write one row."""
    await asyncio.sleep(WORK.total_seconds())
    await effects.write(event.n, job)


def service(settings: DrillSettings) -> Service:
    """The drill's service; here alone is chosen whether it is fenced."""
    is_broken = settings.trunkline_break == "fence"

    @asynccontextmanager
    async def resources(_: Tracing) -> AsyncGenerator[tuple[object, ...]]:
        engine = connect(settings.database_url, service="drill")
        try:
            yield (Effects(engine, without_inbox if is_broken else Job.once),)
        finally:
            await engine.dispose()

    store = UnfencedStore if is_broken else JobStore
    return Service("drill", handlers, settings, resources=resources, store=store)


def main() -> None:
    """Run until SIGTERM."""
    try:
        service(DrillSettings.load()).main()
    except SettingsError as error:
        sys.exit(f"drill: {error}")


if __name__ == "__main__":
    main()
