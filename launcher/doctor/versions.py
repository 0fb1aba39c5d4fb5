"""The versions of the servers and of the workers that run; each against what this version needs."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

from launcher.doctor.findings import Finding, fault, ok, warning
from shared import VERSION
from shared.jobs import Registry

if TYPE_CHECKING:
    from launcher.doctor.patient import Patient

_LEAST = {"redis": (7, 0), "nats": (2, 10), "postgres": (14, 0)}
_TRIED = {"redis": (8, 2), "nats": (2, 14), "postgres": (17, 0)}
_NUMBER = re.compile(r"\D*(\d+)(?:\.(\d+))?")
_NAMES = {"redis": "Redis", "nats": "NATS", "postgres": "Postgres"}


async def examine(patient: Patient) -> list[Finding]:
    """A finding for each server, and for workers of another version than this one."""
    found: dict[str, str] = {}
    if patient.redis is not None:
        found["redis"] = str((await patient.redis.info("server"))["redis_version"])
    if patient.nats is not None:
        server = patient.nats.client.connected_server_version
        found["nats"] = f"{server.major}.{server.minor}.{server.patch}"
    if patient.postgres is not None:
        found["postgres"] = await patient.postgres.fetchval("SHOW server_version")
    findings = [judged(about, version) for about, version in found.items()]
    if patient.redis is not None:
        findings += await _workers(patient)
    return findings


def judged(about: str, version: str) -> Finding:
    """A server's version, against the least that works and what is tried."""
    name, number = _NAMES[about], _number(version)
    if number < _LEAST[about]:
        return fault(
            about,
            f"{name} {version} is too old",
            why="It lacks commands that jobs are made of.",
            do=f"Upgrade it to {_text(_TRIED[about])} or newer; {_text(_LEAST[about])} is the least.",
        )
    if number < _TRIED[about]:
        return warning(
            about,
            f"{name} {version} is older than what is tried",
            why=f"All tests run on {_text(_TRIED[about])} and newer.",
            do=f"Upgrade it to {_text(_TRIED[about])} when you can.",
        )
    return ok(about, f"{name} {version}")


async def _workers(patient: Patient) -> list[Finding]:
    services: dict[str, set[str]] = defaultdict(set)
    for worker in await Registry(patient.redis).workers():
        services[worker.version].add(worker.service)
    others = {version: names for version, names in services.items() if version != VERSION}
    if not others:
        return [ok("trunkline", f"Trunkline {VERSION}")]
    told = "; ".join(f"{', '.join(sorted(names))} {version}" for version, names in sorted(others.items()))
    return [
        warning(
            "trunkline",
            f"this is {VERSION}, and workers run another version: {told}",
            why="Versions side by side are for the minutes of an upgrade.",
            do="Finish the upgrade: restart those services, or run the doctor of their version.",
        )
    ]


def _number(version: str) -> tuple[int, int]:
    """`17.10 (Debian 17.10-1)` -> (17, 10), `18beta1` -> (18, 0)."""
    found = _NUMBER.match(version)
    return (int(found[1]), int(found[2] or 0)) if found else (0, 0)


def _text(number: tuple[int, int]) -> str:
    return f"{number[0]}.{number[1]}" if number[1] else str(number[0])
