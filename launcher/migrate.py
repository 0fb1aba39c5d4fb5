"""The tables of all services: a database in; brought to this version's form, if it was not, out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.errors import MigrationFailed
from launcher.revisions import is_up_to_date
from launcher.services import installed
from shared.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path


async def migrate(database_url: str) -> list[str]:
    """Apply what is missing from each service's history; the names of it. Raises MigrationFailed."""
    histories = _histories()
    if not histories or await is_up_to_date(database_url, histories):
        return []
    # Imported late: SQLAlchemy and Alembic cost half a second that other commands need not pay.
    from asyncpg import PostgresError  # noqa: PLC0415
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    from shared.db import DatabaseUrl  # noqa: PLC0415
    from shared.db import migrate as bring_up  # noqa: PLC0415

    try:
        return await bring_up(DatabaseUrl(database_url), histories)
    except (OSError, PostgresError, SQLAlchemyError, SettingsError) as error:
        raise MigrationFailed(str(error)) from error


def _histories() -> dict[str, Path]:
    """The migrations of each installed service that owns tables; its schema has its name."""
    folders = {service.name: folder / "migrations" for service in installed() if (folder := service.folder())}
    return {name: folder for name, folder in folders.items() if folder.is_dir()}
