"""The process behind WarehouseReceiver: signed webhooks in, JSON lines out (-m launcher.warehouse)."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from standardwebhooks import Webhook, WebhookVerificationError

if TYPE_CHECKING:
    from types import FrameType

_LOOPBACK = "127.0.0.1"
_LARGEST_BYTES = 1024 * 1024


class Deliveries:
    """A file of lines: {"id", "received_at", "message"}."""

    def __init__(self, file: Path) -> None:
        self._descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._lock = threading.Lock()

    def add(self, id_: str, message: object) -> None:
        """Write it down; a delivery that comes again is another line with the same id."""
        line = {"id": id_, "received_at": datetime.now(UTC).isoformat(), "message": message}
        with self._lock:
            os.write(self._descriptor, json.dumps(line).encode() + b"\n")


class Hook(BaseHTTPRequestHandler):
    """One connection. The names of its methods are http.server's."""

    protocol_version = "HTTP/1.1"
    timeout = 30

    def __init__(self, webhook: Webhook, deliveries: Deliveries, *connection: Any) -> None:
        self._webhook = webhook
        self._deliveries = deliveries
        super().__init__(*connection)  # which serves the connection to its end

    def do_GET(self) -> None:
        """Answer the launcher, which asks whether we serve."""
        self._answer(HTTPStatus.OK)

    def do_POST(self) -> None:
        """Verify, then keep."""
        length = self.headers.get("content-length", "")
        if not length.isdecimal() or int(length) > _LARGEST_BYTES:
            self.close_connection = True  # its body stays unread
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return
        try:
            message = self._webhook.verify(self.rfile.read(int(length)), dict(self.headers.items()))
        except (WebhookVerificationError, ValueError) as error:  # ValueError: a signature that is no base64
            self.log_error("refused: %s", error)
            self._answer(HTTPStatus.UNAUTHORIZED)
            return
        self._deliveries.add(self.headers["webhook-id"], message)
        self._answer(HTTPStatus.NO_CONTENT)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing of what went well: the deliveries tell."""

    def _answer(self, status: HTTPStatus) -> None:
        self.send_response(status)
        if status is not HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", "0")
        self.end_headers()


def main() -> None:
    """Run the receiver as a process of its own; the secret is in WAREHOUSE_SECRET, not in `ps`."""
    parser = argparse.ArgumentParser(description="Take signed webhooks into a file.")
    parser.add_argument("--deliveries", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()

    def stop(_number: int, _frame: FrameType | None) -> None:
        sys.exit()

    signal.signal(signal.SIGTERM, stop)
    # Of several secrets each signs: to know one is enough.
    secret = os.environ["WAREHOUSE_SECRET"].partition(",")[0].strip()
    hook = partial(Hook, Webhook(secret), Deliveries(options.deliveries))
    with ThreadingHTTPServer((_LOOPBACK, options.port), hook) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
