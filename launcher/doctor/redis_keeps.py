"""Whether Redis keeps what it acknowledges: INFO, and CONFIG where it may be asked, in; findings out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis.exceptions import ResponseError

from launcher.doctor.findings import Finding, fault, ok, warning

if TYPE_CHECKING:
    from launcher.doctor.patient import Patient

_ABOUT = "redis"
_REFILLED = (
    "Lost jobs are queued again from Postgres, late; unique keys, pauses and delayed direct jobs are gone."
)


async def examine(patient: Patient) -> list[Finding]:
    """The append-only file, how often it is synced, and what happens when memory is full."""
    if patient.redis is None:
        return []
    persistence = await patient.redis.info("persistence")
    memory = await patient.redis.info("memory")
    return [
        *await _file(patient, persistence),
        _policy(str(memory["maxmemory_policy"]), is_limited=bool(memory.get("maxmemory"))),
    ]


async def _file(patient: Patient, persistence: dict[str, object]) -> list[Finding]:
    if not persistence["aof_enabled"]:
        return [
            fault(
                _ABOUT,
                "appendonly is no: nothing is written to a log",
                why=f"A restart forgets all since the last snapshot. {_REFILLED}",
                do="Set `appendonly yes` and `appendfsync always`.",
            )
        ]
    if persistence.get("aof_last_write_status", "ok") != "ok":
        return [
            fault(
                _ABOUT,
                "the last write of the append-only file failed",
                why="Redis refuses writes until one succeeds: no job starts or ends.",
                do="Free space on its disk; its own log says what failed.",
            )
        ]
    try:
        synced = str((await patient.redis.config_get("appendfsync"))["appendfsync"])
    except (ResponseError, KeyError):
        return [ok(_ABOUT, "appendonly is yes (this login may not read appendfsync)")]
    return [_synced(synced)]


def _synced(value: str) -> Finding:
    if value == "always":
        return ok(_ABOUT, "appendonly is yes, appendfsync is always")
    lost = "the last second or two" if value == "everysec" else "what the system had not written by itself"
    finding = warning if value == "everysec" else fault
    return finding(
        _ABOUT,
        f"appendfsync is {value}",
        why=f"When the power fails, {lost} of acknowledged writes is gone. {_REFILLED}",
        do="Set `appendfsync always`: writes come in batches, which buys nearly all of its cost back.",
    )


def _policy(policy: str, *, is_limited: bool) -> Finding:
    if policy == "noeviction":
        return ok(_ABOUT, "maxmemory-policy is noeviction")
    finding = fault if is_limited else warning
    when = "" if is_limited else " as soon as maxmemory is set"
    return finding(
        _ABOUT,
        f"maxmemory-policy is {policy}",
        why=f"A full Redis throws streams and jobs away{when}, without a word.",
        do="Set `maxmemory-policy noeviction`; caches belong in another Redis.",
    )
