"""The tables of all services: a database in; brought to this version's form, if it was not, out.

`python -m launcher.migrate` does it for DATABASE_URL, and needs nothing of the `launcher` extra.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from launcher.errors import LauncherError, MigrationFailed
from launcher.revisions import is_up_to_date
from launcher.services import installed
from shared.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path


async def migrate(database_url: str) -> list[str]:
    """Apply what is missing from each service's history; the names of it. Raises MigrationFailed."""
    known = histories()
    if not known or await is_up_to_date(database_url, known):
        return []
    # Imported late: SQLAlchemy and Alembic cost half a second that other commands need not pay.
    from asyncpg import PostgresError  # noqa: PLC0415
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    from shared.db import DatabaseUrl  # noqa: PLC0415
    from shared.db import migrate as bring_up  # noqa: PLC0415

    try:
        return await bring_up(DatabaseUrl(database_url), known)
    except (OSError, PostgresError, SQLAlchemyError, SettingsError) as error:
        raise MigrationFailed(str(error)) from error


def main() -> int:
    """The exit code: 0 when the tables are as this version needs them, 2 when a setting is wrong."""
    from shared.settings import Secret, Settings  # noqa: PLC0415 - `trunkline` reads no settings, so need not pay

    class MigrationSettings(Settings):
        database_url: Secret

    try:
        applied = asyncio.run(migrate(MigrationSettings.load().database_url.get_secret_value()))
    except SettingsError as error:
        sys.stderr.write(f"migrate: {error}\n")
        return 2
    except LauncherError as error:
        sys.stderr.write(f"migrate: {error}\n")
        return 1
    sys.stdout.write("".join(f"migrated {name}\n" for name in applied) or "nothing to migrate\n")
    return 0


def histories() -> dict[str, Path]:
    """The migrations of each installed service that owns tables; its schema has its name."""
    folders = {service.name: folder / "migrations" for service in installed() if (folder := service.folder())}
    return {name: folder for name, folder in folders.items() if folder.is_dir()}


if __name__ == "__main__":
    sys.exit(main())
