"""Children of a launcher that died: its record in; those that are provably its own, ended, out.

On Linux the kernel has ended them already (process.py); this is for other systems, and for what escaped.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import psutil

from launcher.state import read_record

if TYPE_CHECKING:
    from launcher.data_folder import DataFolder
    from launcher.state import RunningProcess

_GRACE_S = 10
_KILL_LIMIT_S = 5

# The creation time is counted from the machine's start, whose own time may shift when the clock is set.
_CLOCK_SLACK_S = 2.0


def end_orphans(folder: DataFolder) -> list[str]:
    """End what a dead launcher left on this folder, whose claim the caller holds; the names of the ended."""
    record = read_record(folder.record_file)
    found = (
        {name: known for name, child in record.processes.items() if (known := find(child))} if record else {}
    )
    for process in found.values():
        _signal(process, signal.SIGTERM)
    _, stubborn = psutil.wait_procs(list(found.values()), timeout=_GRACE_S)
    for process in stubborn:
        _signal(process, signal.SIGKILL)
    psutil.wait_procs(stubborn, timeout=_KILL_LIMIT_S)
    folder.record_file.unlink(missing_ok=True)
    folder.state_file.unlink(missing_ok=True)
    return list(found)


def find(child: RunningProcess) -> psutil.Process | None:
    """The process, if the pid still names the one that was started then."""
    try:
        process = psutil.Process(child.pid)
        is_the_same = abs(process.create_time() - child.created_at) < _CLOCK_SLACK_S
    except psutil.NoSuchProcess:
        return None
    return process if is_the_same else None


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    """Signal its group: each child was started as the leader of one."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return
