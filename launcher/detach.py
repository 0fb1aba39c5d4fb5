"""`trunkline up --detach`: options in; a launcher in the background, ready, out."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from launcher.data_folder import DataFolder
from launcher.environment import source_path
from launcher.errors import BackgroundStartFailed, DataFolderInUse
from launcher.state import State, read_state
from launcher.summary import summary_of

if TYPE_CHECKING:
    from pathlib import Path

    from launcher.up import UpOptions

_LIMIT = timedelta(seconds=150)
_POLL_S = 0.05
_SHOWN_LINES = 20


def up_detached(options: UpOptions) -> str:
    """Start a launcher in a session of its own and wait until it is ready; the block it would print."""
    folder = DataFolder.open(options.data)
    if pid := folder.holder():
        state = read_state(folder.state_file)
        raise DataFolderInUse(folder.path, pid=pid, url=state.gateway if state else None)
    log = folder.logs() / "launcher.log"
    launcher = _spawn(options, log)
    try:
        state = _ready_state(launcher, folder, log)
    except BaseException:  # Ctrl-C too: what nobody waits for any more must not go on
        launcher.terminate()
        raise
    return summary_of(state, folder)


def _spawn(options: UpOptions, log: Path) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-P", "-m", "launcher", "up", "--quiet", "--data", str(options.data.absolute())]
    argv += ["--port", str(options.port), "--monitor-port", str(options.monitor_port)]
    argv += [part for scale in options.scale for part in ("--scale", scale)]
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        return subprocess.Popen(  # noqa: S603 - ourselves
            argv,
            env={**os.environ, **source_path(os.environ)},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _ready_state(launcher: subprocess.Popen[bytes], folder: DataFolder, log: Path) -> State:
    give_up_at = time.monotonic() + _LIMIT.total_seconds()
    while time.monotonic() < give_up_at:
        state = read_state(folder.state_file)
        if state is not None and state.pid == launcher.pid:
            return state
        code = launcher.poll()
        if code is not None:
            raise BackgroundStartFailed(_last_lines(log), code=code)
        time.sleep(_POLL_S)
    raise BackgroundStartFailed(_last_lines(log), code=1)


def _last_lines(log: Path) -> list[str]:
    return log.read_text(encoding="utf-8", errors="replace").splitlines()[-_SHOWN_LINES:]
