"""A child's lines in; to the terminal with a prefix, and to a log file of limited size, out."""

from __future__ import annotations

import itertools
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LARGEST_BYTES = 10_000_000
_PREFIX_WIDTH = 12
_COLOURS = ("36", "33", "32", "35", "34", "96", "93", "92", "95", "94")
_OUR_COLOUR = "1"


class LogFile:
    """A file that becomes `<name>.log.1` when it is full: at most two of `largest_bytes` are kept."""

    def __init__(self, path: Path, *, largest_bytes: int = LARGEST_BYTES) -> None:
        self._path = path
        self._largest_bytes = largest_bytes
        self._file = path.open("ab", buffering=0)
        self._size_bytes = path.stat().st_size

    def write(self, line: str) -> None:
        """Append a line; by one thread at a time."""
        raw = f"{line}\n".encode()
        if self._size_bytes and self._size_bytes + len(raw) > self._largest_bytes:
            self._rotate()
        self._file.write(raw)
        self._size_bytes += len(raw)

    def _rotate(self) -> None:
        self._file.close()
        self._path.replace(self._path.with_name(f"{self._path.name}.1"))
        self._file = self._path.open("ab", buffering=0)
        self._size_bytes = 0


class Terminal:
    """Prints whole lines from several threads; coloured only on a terminal.

    With `quiet` only the launcher's own lines are shown.
    """

    def __init__(self, out: TextIO | None = None, *, quiet: bool = False) -> None:
        self._out = out or sys.stdout
        self._quiet = quiet
        self._is_coloured = self._out.isatty()
        self._colours = itertools.cycle(_COLOURS)
        self._lock = threading.Lock()

    def say(self, line: str) -> None:
        """A line of the launcher itself."""
        self._print(f"{self._prefix('trunkline', _OUR_COLOUR)}{line}")

    def show(self, text: str) -> None:
        """A block without prefixes."""
        self._print(text)

    def printer(self, name: str) -> Callable[[str], None]:
        """A sink that prints lines of the named process."""
        prefix = self._prefix(name, next(self._colours))

        def show(line: str) -> None:
            if not self._quiet:
                self._print(f"{prefix}{line}")

        return show

    def _prefix(self, name: str, colour: str) -> str:
        plain = f"{name:<{_PREFIX_WIDTH}} | "
        return f"\x1b[{colour}m{plain}\x1b[0m" if self._is_coloured else plain

    def _print(self, text: str) -> None:
        # A terminal that was closed, a pipe whose reader is gone: the system goes on without them.
        with self._lock, suppress(OSError, ValueError):
            self._out.write(f"{text}\n")
            self._out.flush()


def tee(*sinks: Callable[[str], None]) -> Callable[[str], None]:
    """One sink for several."""

    def write(line: str) -> None:
        for sink in sinks:
            sink(line)

    return write
