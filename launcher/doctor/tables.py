"""Whether the tables have this version's form: the migrations of each service and what the database says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg

from launcher.doctor.findings import Finding, fault, ok, warning
from launcher.migrate import histories
from launcher.revisions import newest, recorded, revisions

if TYPE_CHECKING:
    from pathlib import Path

    from launcher.doctor.patient import Patient

_ABOUT = "tables"


async def examine(patient: Patient) -> list[Finding]:
    """A finding for each service whose tables are older or newer than this version; else one for all."""
    if patient.postgres is None:
        return []
    all_ = histories()
    found = [await _compared(patient.postgres, name, folder) for name, folder in all_.items()]
    wrong = [finding for finding in found if finding is not None]
    return wrong or [ok(_ABOUT, f"those of {', '.join(all_)} have this version's form")]


async def _compared(
    connection: asyncpg.Connection[asyncpg.Record], schema: str, folder: Path
) -> Finding | None:
    try:
        there = await recorded(connection, schema)
    except asyncpg.InsufficientPrivilegeError:
        return warning(
            _ABOUT,
            f"this login may not look at those of {schema}",
            why="Nobody can tell whether they have this version's form.",
            do="Run the doctor with the login that runs `trunkline migrate`.",
        )
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
        there = set[str]()
    if there == newest(folder):
        return None
    if there <= revisions(folder):
        told = ", ".join(sorted(there)) or "nothing"
        return fault(
            _ABOUT,
            f"{schema}: migrations are missing; {told} is applied, {', '.join(newest(folder))} is wanted",
            why=f"The {schema} service stays unready, or fails where it needs what is missing.",
            do="Run `trunkline migrate`.",
        )
    return warning(
        _ABOUT,
        f"{schema}: the database is at {', '.join(sorted(there))}, which this version does not know",
        why="A newer version made it; this one may not fit.",
        do="Upgrade this installation.",
    )
