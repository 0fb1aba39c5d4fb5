"""Whether this process runs and may be given work: GET /livez, /readyz and /metrics for orchestrators.

Liveness asks nobody: a broker that is away is no reason to restart us. Readiness asks what work depends on.
"""

import asyncio
import contextlib
import json
import socket
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

import uvicorn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Mapping, MutableMapping

    Check = Callable[[], Awaitable[None]]  # returns when all is well, raises when not
    Scope = MutableMapping[str, Any]
    Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

CHECK_LIMIT: Final = timedelta(seconds=1)
_STOP_LIMIT: Final = timedelta(seconds=2)
_JSON: Final = "application/json"
_TEXT: Final = "text/plain; charset=utf-8"
_OK: Final = "ok"
_METHOD_NOT_ALLOWED: Final = 405


class NotReady(Exception):
    """A check found why there should be no work now; `reason` is shown to whoever asks."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Readiness:
    """What the checks said: "ok" or a reason, by name. No check at all is ready."""

    checks: "Mapping[str, str]"

    @property
    def is_ready(self) -> bool:
        """Whether each check passed."""
        return all(answer == _OK for answer in self.checks.values())

    @property
    def status(self) -> int:
        """The HTTP status that says it: 200 or 503."""
        return 200 if self.is_ready else 503

    @property
    def body(self) -> dict[str, object]:
        """The JSON that says why."""
        return {"status": "ready" if self.is_ready else "not ready", "checks": dict(self.checks)}


class Page(Protocol):
    """The metrics of the process; shared.telemetry.Metrics is one."""

    @property
    def content_type(self) -> str:
        """Of what `render` returns."""
        ...

    def render(self) -> bytes:
        """The whole page."""
        ...


async def readiness(checks: "Mapping[str, Check]", *, limit: timedelta = CHECK_LIMIT) -> Readiness:
    """Run all checks at once, each for `limit` at most; never raises for a check that does."""
    answers = await asyncio.gather(*(_answer(check, limit) for check in checks.values()))
    return Readiness(dict(zip(checks, answers, strict=True)))


class HealthServer:
    """Serves the three pages beside a service that has no HTTP of its own.

    `port` None serves nothing, 0 takes any. `stop` takes 0.1 s, 2 s at most, and may come without `start`.
    """

    def __init__(
        self,
        port: int | None,
        checks: "Mapping[str, Check]",
        metrics: Page,
        *,
        host: str = "127.0.0.1",
    ) -> None:
        self.port = port
        self._host = host
        self._checks = checks
        self._metrics = metrics
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen, and return when it does; `port` is then the real one. Raises OSError for a port in use."""
        if self.port is None:
            return
        # Bound here, since uvicorn ends the whole process when it cannot bind.
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listener = socket.create_server((self._host, self.port), family=family)
        self.port = listener.getsockname()[1]
        self._server = _Server(
            uvicorn.Config(
                self._serve,
                interface="asgi3",  # it takes a bound method for the older interface
                log_config=None,
                log_level="warning",
                access_log=False,
                lifespan="off",
                server_header=False,
                timeout_graceful_shutdown=1,
            )
        )
        self._task = asyncio.create_task(self._server.serve([listener]), name="health-server")
        await self._server.listening.wait()

    async def stop(self) -> None:
        """Answer what is being asked, and close."""
        if self._server is None or self._task is None:
            return
        self._server.should_exit = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_LIMIT.total_seconds()):
                await self._task
        self._server = self._task = None

    async def _serve(self, scope: "Scope", _receive: "Receive", send: "Send") -> None:
        if scope["type"] != "http":
            return
        status, content_type, body = await self._page(scope["method"], scope["path"])
        headers = [
            (b"content-type", content_type.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
        ]
        if status == _METHOD_NOT_ALLOWED:
            headers.append((b"allow", b"GET, HEAD"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _page(self, method: str, path: str) -> tuple[int, str, bytes]:
        if path not in {"/livez", "/readyz", "/metrics"}:
            return 404, _TEXT, b"not found\n"
        if method not in {"GET", "HEAD"}:
            return _METHOD_NOT_ALLOWED, _TEXT, b"method not allowed\n"
        if path == "/readyz":
            answer = await readiness(self._checks)
            return answer.status, _JSON, json.dumps(answer.body).encode()
        if path == "/metrics":
            return 200, self._metrics.content_type, self._metrics.render()
        return 200, _TEXT, b"ok\n"


class _Server(uvicorn.Server):
    """uvicorn, without its signal handlers (the service has its own), and telling when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> "Generator[None]":
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


async def _answer(check: "Check", limit: timedelta) -> str:
    try:
        async with asyncio.timeout(limit.total_seconds()):
            await check()
    except NotReady as not_ready:
        return not_ready.reason
    except TimeoutError:
        return f"no answer within {limit.total_seconds():g} s"
    except Exception as error:  # noqa: BLE001 - any failure of a check is its answer
        return type(
            error
        ).__name__  # its words may name hosts and users, and this page asks nobody who they are
    return _OK
