"""`trunkline down`: a data folder in; its launcher drained and gone, out."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

from launcher.data_folder import DataFolder
from launcher.environment import Given
from launcher.errors import StopFailed
from launcher.orphans import end_orphans
from launcher.servers.server import STOP_GRACE

if TYPE_CHECKING:
    from datetime import timedelta
    from pathlib import Path

_POLL_S = 0.05
_SERVICE_PHASES = 3
_SERVERS = 4


def down(data: Path) -> str:
    """Ask the launcher to stop and wait until it is gone; what to tell the user. Raises StopFailed."""
    folder = DataFolder.at(data)
    pid = folder.holder()
    if pid is None:
        return _tidy(folder)
    os.kill(pid, signal.SIGTERM)
    limit = _longest_stop()
    give_up_at = time.monotonic() + limit.total_seconds()
    while folder.holder() == pid:
        if time.monotonic() > give_up_at:
            raise StopFailed(pid, limit)
        time.sleep(_POLL_S)
    return f"stopped the system on {folder.path}"


def _tidy(folder: DataFolder) -> str:
    """Nothing runs; what a launcher that was killed left behind is ended."""
    ended: list[str] = []
    if folder.record_file.exists():
        with folder.claim():
            ended = end_orphans(folder)
    also = f"; ended what a dead launcher left: {', '.join(ended)}" if ended else ""
    return f"nothing runs on {folder.path}{also}"


def _longest_stop() -> timedelta:
    """Every phase of a drain takes its whole grace period."""
    return _SERVICE_PHASES * Given(dict(os.environ)).grace() + _SERVERS * STOP_GRACE
