"""How much of the disk of the data folder is free."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from launcher.doctor.findings import Finding, fault, ok, warning

if TYPE_CHECKING:
    from launcher.doctor.patient import Patient

_GIB = 2**30
_FAULT_BELOW = 0.05
_WARN_BELOW = 0.2
_PLENTY_BYTES = 50 * _GIB


async def examine(patient: Patient) -> list[Finding]:
    """One finding; none where the system's data is not on this machine."""
    if patient.data is None:
        return []
    usage = shutil.disk_usage(patient.data)
    return [judged(usage.free, usage.total)]


def judged(free: int, total: int) -> Finding:
    """By the free share; a large disk with much left is fine whatever its share."""
    share = free / total if total else 0.0
    told = f"{free / _GIB:.1f} GiB of {total / _GIB:.1f} are free ({share:.0%})"
    if share >= _WARN_BELOW or free >= _PLENTY_BYTES:
        return ok("disk", told)
    finding = fault if share < _FAULT_BELOW else warning
    return finding(
        "disk",
        told,
        why="On a full disk Redis exits, NATS refuses new messages, and Postgres stops.",
        do="Free space; EVENTS_KEPT, REPORT_TTL and the logs decide what is kept.",
    )
