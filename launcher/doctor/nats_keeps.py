"""Whether JetStream keeps what it acknowledges: the stream's form and the server's own settings in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType
from nats.js.errors import NotFoundError, ServiceUnavailableError

from launcher.doctor.findings import Finding, fault, ok, warning
from shared.bus.jetstream.wire import STREAM

if TYPE_CHECKING:
    import httpx
    from nats.js.api import StreamConfig

    from launcher.doctor.patient import Nats, Patient

_ABOUT = "nats"
_SYNC = "When the power fails, whole streams that were acknowledged are gone: this was measured."


async def examine(patient: Patient) -> list[Finding]:
    """The stream of all events, and how often the server writes to its disk."""
    if patient.nats is None:
        return []
    return [*await _stream(patient.nats, patient.buses), *await _sync(patient.nats_monitor)]


async def _stream(nats: Nats, buses: frozenset[str] | None) -> list[Finding]:
    try:
        config = (await nats.jetstream.stream_info(STREAM)).config
    except NotFoundError:
        if buses is not None and "nats" not in buses:
            return [ok(_ABOUT, "not in use: BUSES leaves it out")]
        return [
            warning(
                _ABOUT,
                f"there is no stream {STREAM}",
                why="Nobody can publish events on NATS. With BUSES=redis that is as it should be.",
                do="Start a service: each makes it when it comes up.",
            )
        ]
    except ServiceUnavailableError:
        return [
            fault(
                _ABOUT,
                "JetStream is off",
                why="Nothing can be published or read on this bus.",
                do="Give nats.conf a block jetstream { store_dir: ..., sync_interval: always }.",
            )
        ]
    return _differences(config) or [ok(_ABOUT, f"{STREAM} is on disk and refuses what it cannot hold")]


def _differences(config: StreamConfig) -> list[Finding]:
    found: list[Finding] = []
    if config.storage != StorageType.FILE:
        found.append(_wrong("is in memory", "A restart of NATS forgets all events on it.", "storage: file"))
    if config.discard != DiscardPolicy.NEW:
        found.append(
            _wrong(
                "drops its oldest messages when it is full",
                "Events that no handler has seen vanish; new ones must be refused, and wait in Postgres.",
                "discard: new",
            )
        )
    if config.retention == RetentionPolicy.WORK_QUEUE:
        found.append(
            _wrong("is a work queue", "Only one handler of an event would get it.", "retention: interest")
        )
    if config.max_age:
        found.append(
            _wrong(
                f"forgets messages after {config.max_age:g} s",
                "Events that no handler has seen by then vanish.",
                "max_age: 0",
            )
        )
    return found


def _wrong(what: str, why: str, wanted: str) -> Finding:
    do = f"Edit the stream (`nats stream edit {STREAM}`) to {wanted}; storage needs a new stream."
    return fault(_ABOUT, f"the stream {STREAM} {what}", why=why, do=do)


async def _sync(monitor: httpx.AsyncClient | None) -> list[Finding]:
    if monitor is None:
        return [
            warning(
                _ABOUT,
                "sync_interval cannot be seen: NATS_MONITOR_URL is not set",
                why=f"With any other value than always, this holds: {_SYNC}",
                do="Set NATS_MONITOR_URL (`http: 8222` in nats.conf), and `sync_interval: always`.",
            )
        ]
    config = (await monitor.get("/jsz")).raise_for_status().json().get("config") or {}
    if config.get("sync_always"):
        return [ok(_ABOUT, "sync_interval is always")]
    seconds = config.get("sync_interval", 0) / 1e9
    return [
        warning(
            _ABOUT,
            f"sync_interval is {seconds:g} s",
            why=_SYNC,
            do="Set `sync_interval: always` in the jetstream block of nats.conf.",
        )
    ]
