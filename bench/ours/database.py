"""Postgres with the tables of all services, for the figures that have a gateway; gone afterwards."""

import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

from launcher.migrate import migrate
from launcher.servers import PostgresServer

if TYPE_CHECKING:
    Session = asyncpg.Connection[asyncpg.Record]
else:
    Session = asyncpg.Connection  # not subscriptable when it runs


@asynccontextmanager
async def migrated_postgres() -> AsyncGenerator[PostgresServer]:
    """What it acknowledges is on disk, as in production."""
    with tempfile.TemporaryDirectory(prefix="trunkline-bench-") as folder:
        server = PostgresServer(Path(folder, "postgres"))
        try:
            await server.start()
            await migrate(server.url)
            yield server
        finally:
            await server.delete()


@asynccontextmanager
async def session(server: PostgresServer) -> AsyncGenerator[Session]:
    """A connection for the bench's own questions."""
    connection = await asyncpg.connect(server.url)
    try:
        yield connection
    finally:
        await connection.close()


async def emptied(server: PostgresServer) -> None:
    """No event and no job of an earlier run; no gateway may be running."""
    async with session(server) as connection:
        await connection.execute("TRUNCATE gateway.events, gateway.jobs")
