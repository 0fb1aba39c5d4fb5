"""A database session for one request and the BackgroundTasks after its answer.

    async def endpoint(session: SessionDep, tasks: BackgroundTasks) -> ...:
        tasks.add_task(write_line, session)

FastAPI ends a dependency with `yield` at the end of its scope: "function" ends before the answer is sent,
"request" (said here although it is the default, since all hangs on it) after the answer and its tasks. A
session takes a connection when it is first used and gives it back at each commit, so that one which waits for
its task holds none.
"""

from collections.abc import AsyncGenerator
from typing import Annotated

from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.parts import EngineDep


async def _session(engine: EngineDep) -> AsyncGenerator[AsyncSession]:
    # A closed session would open again by itself when it is used too late, and keep its connection for ever:
    # this one refuses.
    async with AsyncSession(engine, close_resets_only=False) as session:
        yield session


SessionDep = Annotated[AsyncSession, Depends(_session, scope="request")]
"""The request's session; tasks after the answer may use it, one at a time. Who writes commits."""
