"""Rows of Postgres for one report: a statement in, its rows out, within limits of number and time.

All statements of a report see the same instant (REPEATABLE READ). Rows come through a cursor of the server,
so what is above the limit is never read, however much it is.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Row, TextClause, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.errors import TrunklineError

Tell = Callable[[int], Awaitable[None]]
"""Is told how many rows have been read."""

_AT_A_TIME: Final = 1000
_TIMEOUT: Final = text("SELECT set_config('statement_timeout', :limit, true)")

_CANCELLED: Final = "57014"
_NOT_THERE: Final = frozenset({"42P01", "3F000", "42501"})


class TooManyRows(TrunklineError):
    """The report would have more rows than one may have."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"it has more than {limit:,} rows; choose fewer days, or a format that holds more")
        self.limit = limit


class TooSlow(TrunklineError):
    """Postgres did not answer within the limit."""

    def __init__(self, limit: timedelta) -> None:
        super().__init__(f"reading took longer than {limit.total_seconds():g} s; choose fewer days")
        self.limit = limit


class NotThere(TrunklineError):
    """What the report is made of is not in this database, or not for us."""

    def __init__(self, why: str) -> None:
        super().__init__(f"what it is made of cannot be read: {why}; run `trunkline migrate`")


class Source:
    """One look at the database; `read` may be called several times."""

    def __init__(self, connection: AsyncConnection, *, row_limit: int, tell: Tell) -> None:
        self._connection = connection
        self.row_limit = row_limit
        self._tell = tell

    async def read(self, statement: TextClause, **parameters: object) -> Sequence[Row[Any]]:
        """The rows; TooManyRows when there are more than the limit."""
        options = {"yield_per": _AT_A_TIME}
        rows: list[Row[Any]] = []
        async with self._connection.stream(statement, parameters, execution_options=options) as result:
            async for part in result.partitions():
                rows += part
                if len(rows) > self.row_limit:
                    raise TooManyRows(self.row_limit)
                await self._tell(len(rows))
        return rows


@asynccontextmanager
async def reading(
    engine: AsyncEngine, *, row_limit: int, time_limit: timedelta, tell: Tell
) -> AsyncGenerator[Source]:
    """A source to read from; TooSlow and NotThere say in a sentence what Postgres says in a code."""
    options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    try:
        async with engine.execution_options(**options).connect() as connection, connection.begin():
            limit_ms = max(1, round(time_limit.total_seconds() * 1000))
            await connection.execute(_TIMEOUT, {"limit": str(limit_ms)})
            yield Source(connection, row_limit=row_limit, tell=tell)
    except DBAPIError as error:
        state = getattr(error.orig, "sqlstate", None)
        if state == _CANCELLED:
            raise TooSlow(time_limit) from error
        if state in _NOT_THERE:
            raise NotThere(str(error.orig).partition("\n")[0].rpartition(": ")[2]) from error
        raise
