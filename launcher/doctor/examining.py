"""The whole examination: addresses in, all findings out; one that cannot be made is a finding itself."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from launcher.doctor import (
    backlogs,
    clocks,
    consumers,
    disk,
    nats_keeps,
    patient,
    permissions,
    postgres_keeps,
    readiness,
    redis_keeps,
    tables,
    versions,
)
from launcher.doctor.findings import Finding, fault

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from launcher.doctor.addresses import Addresses
    from launcher.doctor.patient import Patient

    Examination = Callable[[Patient], Awaitable[list[Finding]]]

EXAMINATIONS: dict[str, Examination] = {
    "readiness": readiness.examine,
    "versions": versions.examine,
    "persistence of Redis": redis_keeps.examine,
    "persistence of NATS": nats_keeps.examine,
    "persistence of Postgres": postgres_keeps.examine,
    "clocks": clocks.examine,
    "tables": tables.examine,
    "permissions": permissions.examine,
    "handlers": consumers.examine,
    "work": backlogs.examine,
    "disk": disk.examine,
}
_LIMIT_S = 15.0


async def examine(addresses: Addresses) -> list[Finding]:
    """All findings, in the order in which they are looked for; it changes nothing in the system."""
    async with patient.visited(addresses) as (found, reached):
        findings = [*reached]
        for name, examination in EXAMINATIONS.items():
            findings += await _carefully(name, examination, found)
        return findings


async def _carefully(name: str, examination: Examination, found: Patient) -> list[Finding]:
    try:
        async with asyncio.timeout(_LIMIT_S):
            return await examination(found)
    except Exception as error:  # noqa: BLE001 - the other examinations are worth having
        said = str(error).strip() or type(error).__name__
        return [
            fault(
                name,
                f"could not be examined: {said}",
                why="Nobody can tell how it is.",
                do="See whether the server is being restarted or the login may do so little; try again.",
            )
        ]
