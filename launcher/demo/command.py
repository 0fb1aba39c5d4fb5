"""`trunkline demo`: a data folder in, the story told on the terminal and an exit code out.

Uses the system that runs on the data folder, or starts one on free ports and ends it afterwards.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from launcher.data_folder import DataFolder
from launcher.demo.door import DemoFailed, Door
from launcher.demo.screen import Screen
from launcher.demo.story import Story
from launcher.detach import up_detached
from launcher.down import down
from launcher.state import State, read_state
from launcher.up import UpOptions

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

_FREE_PORT = 0


def main(data: Path) -> int:
    """Run the demo; 0 when every step was seen to work, DemoFailed at the first that did not."""
    screen = Screen.of_terminal()
    with _system(data, screen) as state:
        asyncio.run(_tell(state, data, screen))
    return 0


@contextmanager
def _system(data: Path, screen: Screen) -> Generator[State]:
    folder = DataFolder.at(data)
    running = read_state(folder.state_file) if folder.holder() else None
    if running is not None:
        screen.say("system", f"already running at {running.gateway}")
        yield running
        return
    screen.say("system", "starting Redis, NATS, Postgres, an SMTP inbox and the services ...")
    began = time.monotonic()
    up_detached(UpOptions(data=data, port=_FREE_PORT, monitor_port=_FREE_PORT, scale=(), quiet=True))
    state = read_state(folder.state_file)
    if state is None:
        raise DemoFailed("the system started and is gone again; see its logs")
    screen.say("system", f"ready after {time.monotonic() - began:.1f} s at {state.gateway}")
    try:
        yield state
    finally:
        down(data)
        screen.say("system", "drained and stopped")


async def _tell(state: State, data: Path, screen: Screen) -> None:
    if state.gateway is None or state.mail is None:
        raise DemoFailed("the system has no gateway or no SMTP inbox of its own; unset SMTP_URL")
    async with Door.open(state.gateway, state.api_key, screen) as door:
        await Story(door, screen, state, data).tell()
