"""What goes wrong for who operates a system: one line each, and the exit code.

LauncherError
├── Misused        the words on the command line make no sense together: 2
├── NoSystem       nobody runs here, and no other address was given: 3
└── NoGateway      something answered, and it was no gateway of ours: 3
"""

from enum import IntEnum
from pathlib import Path

from launcher.errors import LauncherError
from shared.api import Refusal


class Exit(IntEnum):
    """How a command ends; docs/cli.md says the same."""

    DONE = 0
    REFUSED = 1
    MISUSED = 2
    NO_SYSTEM = 3
    NOT_FOUND = 4
    NOT_ALLOWED = 5
    INTERRUPTED = 130


class Misused(LauncherError):
    """The command line says something that cannot be done."""

    exit_code = Exit.MISUSED


class NoSystem(LauncherError):
    """Nothing runs on the folder, and no address was given."""

    exit_code = Exit.NO_SYSTEM

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"nothing runs on {folder}: start it with `trunkline up`, "
            "or say where the gateway is with --url or TRUNKLINE_URL"
        )
        self.folder = folder


class NoGateway(LauncherError):
    """Who answered is not the gateway."""

    exit_code = Exit.NO_SYSTEM

    def __init__(self, url: str) -> None:
        super().__init__(f"what answers at {url} is no Trunkline gateway of this version: see --url")
        self.url = url


def exit_code_of(refusal: Refusal) -> Exit:
    """The exit code that the gateway's refusal leads to."""
    match refusal.status:
        case 401 | 403:
            return Exit.NOT_ALLOWED
        case 404:
            return Exit.NOT_FOUND
        case _:
            return Exit.REFUSED


def line_of(refusal: Refusal) -> str:
    """The refusal with every fault that it names."""
    faults = [
        f"{str(fault.get('pointer', '')).removeprefix('#')}: {fault.get('detail', '')}"
        for fault in refusal.problem.get("errors", [])
    ]
    return f"{refusal} ({'; '.join(faults)})" if len(faults) > 1 else str(refusal)
