"""How far clocks are apart: this machine's against those of Redis and Postgres."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.doctor.findings import Finding, fault, ok, warning

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import asyncpg

    from launcher.doctor.patient import Patient

_WARN_S = 1.0
_FAULT_S = 15.0  # half a LEASE


async def examine(patient: Patient) -> list[Finding]:
    """One finding for each server; what the question took is taken off."""
    findings: list[Finding] = []
    if patient.redis is not None:
        findings.append(_judged("redis", await _skew_s(patient, lambda: _redis(patient))))
    if (connection := patient.postgres) is not None:
        findings.append(_judged("postgres", await _skew_s(patient, lambda: _postgres(connection))))
    return findings


async def _skew_s(patient: Patient, ask: Callable[[], Awaitable[float]]) -> float:
    """How far the server is ahead; half the round trip is an error on either side, so it is let go."""
    before = patient.now()
    theirs = await ask()
    after = patient.now()
    if before <= theirs <= after:
        return 0.0
    return theirs - (before + after) / 2


async def _redis(patient: Patient) -> float:
    seconds, microseconds = await patient.redis.time()
    return seconds + microseconds / 1e6


async def _postgres(connection: asyncpg.Connection[asyncpg.Record]) -> float:
    return float(await connection.fetchval("SELECT extract(epoch FROM clock_timestamp())::float8"))


def _judged(about: str, skew_s: float) -> Finding:
    if abs(skew_s) <= _WARN_S:
        return ok(about, "its clock and this machine's agree")
    finding = fault if abs(skew_s) >= _FAULT_S else warning
    side = "ahead of" if skew_s > 0 else "behind"
    return finding(
        about,
        f"its clock is {abs(skew_s):.1f} s {side} this machine's",
        why="Leases, delays and schedules are instants: jobs are taken over too soon, or start late.",
        do="Let both machines keep their time by NTP (chronyc tracking, timedatectl).",
    )
