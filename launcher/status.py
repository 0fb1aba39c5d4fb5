"""`trunkline status`: a data folder in; what runs, since when, how often restarted, whether ready, out."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from launcher.data_folder import DataFolder
from launcher.orphans import find
from launcher.probes import http_ok
from launcher.state import read_record, read_state

if TYPE_CHECKING:
    from pathlib import Path

    from launcher.state import RunningProcess


class ProcessStatus(msgspec.Struct, frozen=True, kw_only=True):
    """`state` is ready, not ready, running (a server: it is not asked) or gone (it will be started again)."""

    name: str
    pid: int
    state: str
    uptime_s: float | None
    restarts: int


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """`state` is running, starting or stopped; without secrets, so that it can be pasted into an issue."""

    state: str
    data: str
    pid: int | None = None
    gateway: str | None = None
    monitor: str | None = None
    mail: str | None = None
    processes: list[ProcessStatus] = []


async def status(data: Path) -> Status:
    """Look at the files, then ask each process."""
    folder = DataFolder.at(data)
    pid = folder.holder()
    if pid is None:
        return Status(state="stopped", data=str(folder.path))
    state, record = read_state(folder.state_file), read_record(folder.record_file)
    processes = record.processes if record else {}
    return Status(
        state="running" if state else "starting",
        data=str(folder.path),
        pid=pid,
        gateway=state.gateway if state else None,
        monitor=state.monitor if state else None,
        mail=state.mail if state else None,
        processes=list(await asyncio.gather(*(_look_at(name, child) for name, child in processes.items()))),
    )


async def _look_at(name: str, child: RunningProcess) -> ProcessStatus:
    is_alive = find(child) is not None
    return ProcessStatus(
        name=name,
        pid=child.pid,
        state=await _readiness(child) if is_alive else "gone",
        uptime_s=round(time.time() - child.created_at, 1) if is_alive else None,
        restarts=child.restarts,
    )


async def _readiness(child: RunningProcess) -> str:
    if child.metrics is None:
        return "running"
    return "ready" if await http_ok(urlsplit(child.metrics).port or 0, "/readyz") else "not ready"
