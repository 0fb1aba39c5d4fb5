"""A service without work: answers everything with its environment, notes when it was stopped.

On bare sockets: the tests start dozens of it, and an HTTP server costs each start a tenth of a second.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from types import FrameType


def main(name: str, *, has_port: bool) -> None:
    if os.environ.get("STANDIN_FAILS") == name:
        sys.exit(f"{name}: DATABASE_URL: is no address")

    def stop(_number: int, _frame: FrameType | None) -> None:
        with open(os.environ["STANDIN_STOPS"], "a") as stops:  # noqa: PTH123 - pathlib would double the start
            stops.write(f"{name}\n")
        sys.exit()

    signal.signal(signal.SIGTERM, stop)
    if os.environ.get("STANDIN_IGNORES_SIGTERM") == name:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    serve(int(os.environ["PORT" if has_port else "METRICS_PORT"]), name)


def serve(port: int, name: str) -> None:
    content = json.dumps(dict(os.environ)).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n".encode()
    with socket.create_server(("127.0.0.1", port)) as server:
        sys.stdout.write(f"{name} listens\n")
        while True:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(head + content)
