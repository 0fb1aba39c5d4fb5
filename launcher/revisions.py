"""Whether the tables are up to date, told quickly: a database and migration folders in, yes or no out.

Alembic knows for certain, but it and SQLAlchemy take half a second to import, at each start, to do nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import asyncpg

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_REVISION = re.compile(r"^(down_)?revision\b[^=\n]*=\s*['\"]([^'\"]+)['\"]", re.MULTILINE)
_LIMIT_S = 5


async def is_up_to_date(database_url: str, histories: Mapping[str, Path]) -> bool:
    """True only when each schema stands at the newest revision of its folder; any doubt is False."""
    try:
        connection = await asyncpg.connect(database_url, timeout=_LIMIT_S)
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False
    try:
        found = [await recorded(connection, schema) == newest(folder) for schema, folder in histories.items()]
        return all(found)
    except asyncpg.PostgresError:  # no such schema or table yet
        return False
    finally:
        await connection.close(timeout=_LIMIT_S)


def newest(folder: Path) -> set[str]:
    """The revisions that no other builds on; read as text, for to run them needs Alembic."""
    named = _named(folder)
    return {name for _, name in named} - {name for is_down, name in named if is_down}


def revisions(folder: Path) -> set[str]:
    """All revisions of the folder."""
    return {name for is_down, name in _named(folder) if not is_down}


async def recorded(connection: asyncpg.Connection[asyncpg.Record], schema: str) -> set[str]:
    """What the schema stands at; raises what asyncpg raises where it has no table of revisions."""
    query = f'SELECT version_num FROM "{schema}".alembic_version'  # noqa: S608 - the name is a service's
    rows = await connection.fetch(query, timeout=_LIMIT_S)
    return {row["version_num"] for row in rows}


def _named(folder: Path) -> set[tuple[str, str]]:
    """(down or not, revision) of each line that names one."""
    return {
        (is_down, name)
        for file in folder.glob("*.py")
        for is_down, name in _REVISION.findall(file.read_text(encoding="utf-8"))
    }
