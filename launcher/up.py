"""`trunkline up`: options in; a running system until Ctrl-C, SIGTERM or `trunkline down`, out."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from launcher.bytecode import keep_bytecode, with_bytecode
from launcher.data_folder import DEFAULT, DataFolder
from launcher.environment import Given
from launcher.errors import PortTaken
from launcher.logs import Terminal
from launcher.orphans import end_orphans
from launcher.ports import free_port, holder_of, is_free
from launcher.services import SERVICES, Role, installed, parse_scale
from launcher.summary import summary_of
from launcher.system import Plan, System

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from launcher.services import Service


@dataclass(frozen=True)
class UpOptions:
    """What the user asked for. Port 0 means any free one; `quiet` keeps services' lines off the terminal."""

    data: Path = DEFAULT
    port: int = 8000
    monitor_port: int = 8001
    scale: Sequence[str] = field(default=())
    quiet: bool = False


async def up(options: UpOptions, services: Sequence[Service] = SERVICES) -> None:
    """Run the system until it is told to stop; raises a LauncherError when it cannot start."""
    folder = DataFolder.open(options.data)
    os.umask(0o077)  # logs, mail and the brokers' files are the user's alone
    terminal = Terminal(quiet=options.quiet)
    with folder.claim():
        for name in end_orphans(folder):
            terminal.say(f"ended {name}, left by a launcher that died")
        keep_bytecode(folder.part("bytecode"))
        plan = _plan(options, folder, installed(services))
        await _run(System(plan, terminal), folder, terminal)


def _plan(options: UpOptions, folder: DataFolder, services: Sequence[Service]) -> Plan:
    """Everything that can be refused is refused here, before anything is started."""
    given = Given(with_bytecode(os.environ, folder.part("bytecode")))
    counts = parse_scale(options.scale, services)
    roles = {service.role for service in services if counts[service.name]}
    return Plan(
        folder=folder,
        given=given,
        services=services,
        counts=counts,
        port=_port(options.port, "--port", is_needed=Role.GATEWAY in roles),
        monitor_port=_port(options.monitor_port, "--monitor-port", is_needed=Role.MONITOR in roles),
        grace=given.grace(),
        log_format="text" if sys.stdout.isatty() else "json",
    )


def _port(asked: int, option: str, *, is_needed: bool) -> int:
    if asked == 0:
        return free_port()
    if is_needed and not is_free(asked):
        raise PortTaken(asked, option=option, holder=holder_of(asked))
    return asked


async def _run(system: System, folder: DataFolder, terminal: Terminal) -> None:
    asked_to_stop = _listen_for_signals(system, terminal)
    try:
        if await _started(system, asked_to_stop, folder, terminal):
            await asked_to_stop.wait()
    finally:
        await system.stop()
    terminal.say("stopped")


async def _started(
    system: System, asked_to_stop: asyncio.Event, folder: DataFolder, terminal: Terminal
) -> bool:
    """Start unless told to stop meanwhile."""
    starting = asyncio.create_task(system.start())
    stopping = asyncio.create_task(asked_to_stop.wait())
    await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not starting.done():
        starting.cancel()
        await asyncio.wait({starting})
        return False
    terminal.show(summary_of(starting.result(), folder))
    return True


def _listen_for_signals(system: System, terminal: Terminal) -> asyncio.Event:
    """The first signal asks to drain, the second ends everything at once."""
    asked_to_stop = asyncio.Event()

    def on_signal(number: signal.Signals) -> None:
        if asked_to_stop.is_set():
            terminal.say("stopping at once")
            system.kill()
            return
        terminal.say(f"{number.name}: stopping, running jobs may finish; again to stop at once")
        asked_to_stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, on_signal, number)
    return asked_to_stop
