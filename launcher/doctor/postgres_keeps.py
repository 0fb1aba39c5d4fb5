"""Whether Postgres keeps what it commits: its settings in, findings out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.doctor.findings import Finding, fault, ok

if TYPE_CHECKING:
    from launcher.doctor.patient import Patient

_ABOUT = "postgres"
_SETTINGS = {
    "fsync": "When the machine goes down, the database may be damaged beyond repair.",
    "full_page_writes": "When the machine goes down, half-written pages may be damaged beyond repair.",
    "synchronous_commit": "A crash takes back what was answered with 2xx, which is promised to be kept.",
}


async def examine(patient: Patient) -> list[Finding]:
    """A fault for each setting that is off."""
    if patient.postgres is None:
        return []
    found = {name: await patient.postgres.fetchval(f"SHOW {name}") for name in _SETTINGS}
    wrong = [
        fault(_ABOUT, f"{name} is off", why=why, do=f"Set `{name} = on` in postgresql.conf, and reload it.")
        for name, why in _SETTINGS.items()
        if found[name] == "off"
    ]
    told = ", ".join(f"{name} is {value}" for name, value in found.items())
    return wrong or [ok(_ABOUT, told)]
