"""The process behind Nursery: modules and orders in; forks that run as services, out (-m launcher.warm).

It imports once what the services import, and then does nothing but fork: no thread, no event loop and no
connection is made in it that a child would share. A child leaves `_Parent.serve` with its order, and then
is what `python -m <module>` is: the interpreter ends it, with exit code, `atexit` and traceback.
"""

from __future__ import annotations

import ast
import ctypes
import gc
import importlib
import importlib.util
import os
import runpy
import select
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from launcher.process import tether

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WARM = b"warm"
WORD_BYTES = 4


class Order(msgspec.Struct, frozen=True):
    """What a child is to run; it begins once it has read this."""

    argv: tuple[str, ...]
    env: dict[str, str]
    orphan_signal: int

    @property
    def module(self) -> str:
        """The last word of `python -m <module>`."""
        return self.argv[-1]


def word(number: int) -> bytes:
    """What the channel of a child carries towards the launcher: its pid, then its exit code."""
    return number.to_bytes(WORD_BYTES, "big", signed=True)


def main() -> None:
    """Fork until the launcher hangs up; in a child: run the service to its end."""
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    warm_up(sys.argv[2:])
    control.send(WARM)
    order = _Parent(control).serve()
    if order is not None:
        sys.argv[:] = [order.module]
        runpy.run_module(order.module, run_name="__main__", alter_sys=True)


def warm_up(services: Sequence[str]) -> None:
    """Import what they import; what is alive then stays untouched by the children's collectors.

    A service's own modules are forgotten again: they may read settings, which each child has of its own.
    """
    gc.disable()
    for module in (module for service in services for module in _imports_of(service)):
        # The service that needs it fails of it, too, and says so in its own log.
        with suppress(Exception):
            importlib.import_module(module)
    for module in [name for name in sys.modules if name.partition(".")[0] in services]:
        del sys.modules[module]
    gc.freeze()
    gc.enable()


def _imports_of(service: str) -> Iterator[str]:
    """What its two entries import at their top level. They are read, not run: running reads settings."""
    found = importlib.util.find_spec(service)
    for folder in (found.submodule_search_locations or ()) if found else ():
        for entry in ("app.py", "__main__.py"):
            file = Path(folder, entry)
            for statement in ast.parse(file.read_bytes()).body if file.is_file() else ():
                match statement:
                    case ast.ImportFrom(module=str(module), level=0):
                        yield module
                    case ast.Import(names=names):
                        yield from (name.name for name in names)
                    case _:
                        pass


class _Parent:
    """Forks a child for each pair of descriptors, a channel and an output, and tells how each one ended."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._channels: dict[int, socket.socket] = {}
        self._deaths, self._bell = socket.socketpair()
        self._bell.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.set_wakeup_fd(self._bell.fileno(), warn_on_full_buffer=False)

    def serve(self) -> Order | None:
        """Return an order in a child; None, in the parent, when the launcher has hung up."""
        while True:
            readable, _, _ = select.select([self._deaths, self._control], [], [])
            if self._deaths in readable:
                self._deaths.recv(4096)
                self._report_deaths()
            if self._control in readable:
                _, descriptors, _, _ = socket.recv_fds(self._control, 1, 2, socket.MSG_CMSG_CLOEXEC)
                if not descriptors:
                    return None
                if order := self._fork(*descriptors):
                    return order

    def _fork(self, channel_descriptor: int, output: int) -> Order | None:
        channel = socket.socket(fileno=channel_descriptor)
        die_with_parent = tether(signal.SIGKILL)
        try:
            pid = os.fork()
        except OSError:  # no memory, no process left: the launcher sees a closed channel and tries again
            channel.close()
            os.close(output)
            return None
        if pid == 0:
            if die_with_parent is not None:
                die_with_parent()
            self._forget()
            return _become(channel, output)
        os.close(output)
        self._channels[pid] = channel
        with suppress(OSError):
            channel.send(word(pid))
        return None

    def _report_deaths(self) -> None:
        for pid in tuple(self._channels):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found == pid:
                with self._channels.pop(pid) as channel, suppress(OSError):
                    channel.send(word(os.waitstatus_to_exitcode(status)))

    def _forget(self) -> None:
        """In a child: nothing of the parent's is left."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for ours in (self._control, self._deaths, self._bell, *self._channels.values()):
            ours.close()


def _become(channel: socket.socket, output: int) -> Order:
    """In a child: read the order, and be in session, environment, output and name what it says."""
    with channel, channel.makefile("rb") as lines:
        order = msgspec.json.decode(lines.readline(), type=Order)
    os.setsid()
    os.environ.clear()
    os.environ.update(order.env)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    if sys.platform == "linux":
        _rename(order.argv)
    return order


def _rename(argv: Sequence[str]) -> None:
    """Show the order's words in `ps`: the kernel reads them from where the parent's own words lie.

    No call does it without privileges; /proc/self/stat tells the place (proc(5): arg_start, arg_end).
    """
    fields = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    start, end = int(fields[45]), int(fields[46])
    title = b"\0".join(os.fsencode(word) for word in argv)[: end - start - 1]
    if start and title:
        ctypes.memmove(start, title.ljust(end - start, b"\0"), end - start)


if __name__ == "__main__":
    main()
