"""Loopback ports: nothing in, a free port out; and who holds a taken one."""

from __future__ import annotations

import itertools
import os
import socket

import psutil

LOOPBACK = "127.0.0.1"

# Below the range from which kernels take ports for outgoing connections (Linux 32768-60999, macOS and
# Windows 49152-65535). A server that restarts on its port would else meet one of its own clients there: a
# client that keeps dialling a dead port of that range may even connect to itself and so hold it.
_FIRST, _LAST = 10_000, 32_000
_PORTS_A_PROCESS = 50

_handed_out = itertools.count()


def free_port() -> int:
    """A port nobody listens on now, and that this process gave to nobody else.

    Each process walks through a stretch of its own, told by its pid: a port is bound seconds after it was
    chosen, and two systems that start at one moment must not choose the same.
    """
    while True:
        steps = os.getpid() * _PORTS_A_PROCESS + next(_handed_out)
        port = _FIRST + steps % (_LAST - _FIRST)
        if is_free(port):
            return port


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now; connections that just ended do not hinder it."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
            listener.listen(1)
        except OSError:
            return False
        return True


def holder_of(port: int) -> str | None:
    """The listening program as "name (pid 123)"; None where the system does not tell it to us."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        return None
    for connection in connections:
        listens = connection.status == psutil.CONN_LISTEN
        if listens and connection.pid and connection.laddr and connection.laddr.port == port:
            return _name_of(connection.pid)
    return None


def _name_of(pid: int) -> str:
    try:
        return f"{psutil.Process(pid).name()} (pid {pid})"
    except psutil.Error:
        return f"pid {pid}"
