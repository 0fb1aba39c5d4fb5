"""Is this error an outage of something that we need? An error in, the name of who is away out.

An outage is answered with 503 and Retry-After, and tried again; everything else is a defect.
"""

from collections.abc import Iterator
from typing import Final

import asyncpg
import redis.exceptions
from sqlalchemy.exc import TimeoutError as PoolTimeout

POSTGRES: Final = "Postgres"
REDIS: Final = "Redis"

_PASSING: Final = frozenset(
    {
        "08",  # connection exception
        "28",  # not let in: a password or role that is being changed
        "3D",  # no such database: it is being restored
        "3F",  # no such schema: not migrated yet
        "53",  # out of disk, memory or connections
        "57",  # shut down, starting up, or a statement that took too long
        "58",  # the system below it failed
    }
)
_PASSING_CODES: Final = frozenset(
    {
        "25006",  # read only: a replica until the failover is done
        "25P03",  # the session was idle in a transaction for too long
        "40001",  # serialization failure
        "40P01",  # deadlock
        "42P01",  # no such table: not migrated yet
        "55P03",  # a lock was not to be had in time
    }
)
_REDIS_AWAY: Final = (
    redis.exceptions.ConnectionError,  # loading its data is one of them
    redis.exceptions.TimeoutError,
    redis.exceptions.ReadOnlyError,
)
_POSTGRES_AWAY: Final = (
    PoolTimeout,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    TimeoutError,
    OSError,
)


def away(error: BaseException) -> str | None:
    """Who is away: Postgres or Redis; None when the error is no outage."""
    for cause in _causes(error):
        if isinstance(cause, ValueError):
            return None  # asyncpg calls an unfit argument an InterfaceError too
        if isinstance(cause, _REDIS_AWAY):
            return REDIS
        if isinstance(cause, asyncpg.PostgresError):
            code = cause.sqlstate or ""
            return POSTGRES if code[:2] in _PASSING or code in _PASSING_CODES else None
        if isinstance(cause, _POSTGRES_AWAY) or getattr(cause, "connection_invalidated", False):
            return POSTGRES
    return None


def is_not_migrated(error: BaseException) -> bool:
    """Whether our schema or a table of it is not there."""
    return any(getattr(cause, "sqlstate", None) in {"3F000", "42P01"} for cause in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and what it was raised from."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__
