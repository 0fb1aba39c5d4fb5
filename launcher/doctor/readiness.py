"""Whether the gateway would be given work: /readyz in, its own reasons out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.doctor.findings import Finding, fault, ok

if TYPE_CHECKING:
    from launcher.doctor.patient import Patient

_READY = 200


async def examine(patient: Patient) -> list[Finding]:
    """One finding, with every check that fails."""
    if patient.gateway is None:
        return []
    answer = await patient.gateway.get("/readyz")
    if answer.status_code == _READY:
        return [ok("gateway", "is ready")]
    return [
        fault(
            "gateway",
            f"is not ready: {_reasons(answer.text)}",
            why="Whoever balances load sends it no requests.",
            do="See to what it names; GET /readyz tells the same.",
        )
    ]


def _reasons(body: str) -> str:
    return " ".join(body.split())[:300]
