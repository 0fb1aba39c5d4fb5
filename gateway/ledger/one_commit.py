"""One commit for all that a request writes: opened around the request, joined by the ledger within.

The ledger finds it by a context variable, so that a route cannot forget to join: what it would commit by
itself is committed with the rest, or not at all.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.ledger.faults import Faults
from shared.contracts import Envelope

_current: Final[ContextVar["OneCommit | None"]] = ContextVar("gateway.one_commit", default=None)


class OneCommit:
    """A transaction that ends with `commit`; leaving it in any other way takes everything back."""

    def __init__(
        self, connection: AsyncConnection, hand_over: Callable[[Sequence[Envelope]], None], faults: Faults
    ) -> None:
        self.connection = connection
        self.written: list[Envelope] = []
        self.is_open = True
        self._hand_over = hand_over
        self._faults = faults

    async def commit(self) -> None:
        """All of it is on disk when this returns, and the relay has the events."""
        self.is_open = False
        self._faults.before_commit()
        await self.connection.commit()
        if self.written:
            self._faults.after_commit()
            self._hand_over(self.written)


@asynccontextmanager
async def one_commit(
    engine: AsyncEngine, *, hand_over: Callable[[Sequence[Envelope]], None], faults: Faults
) -> AsyncGenerator[OneCommit]:
    """The transaction that this task's writes join until it is committed or left."""
    async with engine.connect() as connection:
        commit = OneCommit(connection, hand_over, faults)
        _current.set(commit)
        try:
            yield commit
        finally:
            # Not reset by a token: the answer, and with it the end, may come from another task.
            commit.is_open = False


def joined() -> OneCommit | None:
    """The transaction to join; None where each write is a commit of its own."""
    commit = _current.get()
    return commit if commit is not None and commit.is_open else None
