"""Bodies of spans in, the same bodies sent on to another collector out: Jaeger, a vendor's, one's own.

The monitor keeps its own copy before, so this is best effort: what waits is bounded, no exporter waits.
"""

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass
from typing import Final
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import structlog

from monitor.metrics import MonitorMetrics

log = structlog.get_logger(__name__)

WAITING_BYTES_MAX: Final = 32 * 1024 * 1024
_SEND_LIMIT_S: Final = 10.0
_RETRY_S: Final = (0.5, 1.0, 2.0, 5.0)
_CLIENT_ERROR: Final = range(400, 500)
_COME_AGAIN: Final = frozenset({408, 429})


@dataclass(frozen=True, slots=True)
class Body:
    """What an exporter sent, as it came."""

    content: bytes
    headers: dict[str, str]


class Forwarder:
    """Sends bodies to `<url>/v1/traces` in the order in which they came; does nothing without a URL."""

    def __init__(self, url: str, metrics: MonitorMetrics) -> None:
        self._url = f"{url.rstrip('/')}/v1/traces" if url else ""
        self._metrics = metrics
        self._waiting: deque[Body] = deque()
        self._waiting_bytes = 0
        self._has_some = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._is_away = False

    async def start(self) -> None:
        """Begin to send."""
        if self._url:
            self._task = asyncio.create_task(self._send_for_ever(), name="forwarder")

    async def stop(self) -> None:
        """Send no more; what waits is dropped, for the monitor has it."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def take(self, body: Body) -> None:
        """Send the body later; when too much waits it is dropped and counted."""
        if self._task is None:
            return
        if self._waiting_bytes + len(body.content) > WAITING_BYTES_MAX:
            self._metrics.forwarded.labels("dropped").inc()
            return
        self._waiting.append(body)
        self._waiting_bytes += len(body.content)
        self._has_some.set()

    async def _send_for_ever(self) -> None:
        while True:
            await self._has_some.wait()
            body = self._waiting.popleft()
            self._waiting_bytes -= len(body.content)
            if not self._waiting:
                self._has_some.clear()
            self._metrics.forwarded.labels(await self._delivered(body)).inc()

    async def _delivered(self, body: Body) -> str:
        """Send it, and again when that may help; what became of it."""
        for pause_s in (*_RETRY_S, None):
            try:
                await asyncio.to_thread(_post, self._url, body)
            except HTTPError as refused:
                if refused.code in _CLIENT_ERROR and refused.code not in _COME_AGAIN:
                    log.warning("monitor.forward_refused", status=refused.code)
                    return "refused"
                self._lost(refused)
            except OSError as error:  # URLError and time-outs are among them
                self._lost(error)
            else:
                self._back()
                return "sent"
            if pause_s is not None:
                await asyncio.sleep(pause_s)
        return "dropped"

    def _lost(self, error: Exception) -> None:
        if not self._is_away:
            self._is_away = True
            log.warning("monitor.forward_away", error=str(error))

    def _back(self) -> None:
        if self._is_away:
            self._is_away = False
            log.info("monitor.forward_back")


def _post(url: str, body: Body) -> None:
    request = Request(url, data=body.content, headers=body.headers, method="POST")  # noqa: S310 - settings.py admits http and https alone
    with urlopen(request, timeout=_SEND_LIMIT_S) as answer:  # noqa: S310 - the same
        answer.read()
