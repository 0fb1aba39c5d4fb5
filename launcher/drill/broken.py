"""A test's tool: what a worker without fences does, so that a drill can be seen to fail.

`trunkline drill --break fence` composes its workers with these; nothing else imports them.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.jobs import Job
from shared.jobs.store import Ending, JobStore


class UnfencedStore(JobStore):
    """Believes that what it had once it still has: it renews, ends and acknowledges other workers' jobs."""

    async def finish(self, handler: str, endings: Sequence[Ending]) -> list[bool]:
        """End what can be ended, and say so of all."""
        await super().finish(handler, endings)
        return [True] * len(endings)

    async def renew(self, handler: str, jobs: Sequence[tuple[str, int]]) -> list[bool]:
        """Renew what can be renewed, and say so of all."""
        await super().renew(handler, jobs)
        return [True] * len(jobs)


@asynccontextmanager
async def without_inbox(_: Job, engine: AsyncEngine) -> AsyncGenerator[AsyncConnection]:
    """A transaction that does not look whether the job had its effect before."""
    async with engine.begin() as connection:
        yield connection
