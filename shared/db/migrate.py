"""The services' migration histories in, their schemas brought to the newest revision.

Each service has a schema and a role of its own name; its folder `migrations` holds plain Alembic
revisions. One process at a time migrates, the others wait for its lock.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from shared.db.engine import DatabaseUrl, address, role_of

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext, MigrationStep

_LOCK = 0x7472756E6B  # "trunk"


async def migrate(url: DatabaseUrl, histories: Mapping[str, Path]) -> list[str]:
    """Bring each schema to its newest revision; returns the revisions that were applied, in order.

    `histories` maps a service's schema to its folder of revisions. The user of the address must be
    allowed to create roles and schemas where they are missing. Nothing of a schema stays when one
    of its revisions fails.
    """
    engine = create_async_engine(address(url), poolclass=NullPool)
    try:
        applied: list[str] = []
        async with engine.connect() as lock:
            await lock.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
            for schema, folder in histories.items():
                async with engine.begin() as connection:
                    applied += await connection.run_sync(_bring_up, schema, folder)
        return applied
    finally:
        await engine.dispose()


def _bring_up(connection: Connection, schema: str, folder: Path) -> list[str]:
    # Late: every service imports this package to connect, and only who migrates needs Alembic.
    from alembic.operations import Operations  # noqa: PLC0415
    from alembic.runtime.migration import MigrationContext, RevisionStep  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    _own(connection, schema)
    scripts = ScriptDirectory(str(folder.parent), version_locations=[str(folder)])
    steps: list[MigrationStep] = []

    def plan(heads: tuple[str, ...], _: "MigrationContext") -> "list[MigrationStep]":
        steps.extend(scripts._upgrade_revs("heads", heads[0] if heads else "base"))  # noqa: SLF001 - what alembic.command does
        return steps

    context = MigrationContext.configure(connection, opts={"version_table_schema": schema, "fn": plan})
    with Operations.context(context):
        context.run_migrations()
    return [step.revision.revision for step in steps if isinstance(step, RevisionStep)]


def _own(connection: Connection, schema: str) -> None:
    """Make the service's role and schema where they are missing, and act as that role from here on."""
    role = role_of(schema)
    quote = connection.dialect.identifier_preparer.quote
    known = connection.execute(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role}).scalar()
    if not known:
        connection.execute(text(f"CREATE ROLE {quote(role)} NOLOGIN"))
        connection.execute(text(f"GRANT {quote(role)} TO CURRENT_USER"))
    connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {quote(schema)} AUTHORIZATION {quote(role)}"))
    connection.execute(text(f"SET LOCAL ROLE {quote(role)}"))
    connection.execute(text(f"SET LOCAL search_path TO {quote(schema)}"))
