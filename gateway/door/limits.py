"""How large a request may be: bytes are counted as they come in, and one too many is 413.

Content-Length is looked at only to refuse early; a body that lies about its size is caught by the count.
"""

from typing import TYPE_CHECKING

from gateway.door.problem_kinds import BODY_TOO_LARGE
from gateway.door.problems import Refused

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BodyLimit:
    """Wraps an app; `body_max` is in bytes, of the body as it travels."""

    def __init__(self, app: "ASGIApp", body_max: int) -> None:
        self._app = app
        self._body_max = body_max

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Serve one connection; raises Refused, from here or from `receive`."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self._check(_announced(scope))
        received = 0

        async def receive_counted() -> "Message":
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            self._check(received)
            return message

        await self._app(scope, receive_counted, send)

    def _check(self, size_bytes: int) -> None:
        if size_bytes > self._body_max:
            raise Refused(BODY_TOO_LARGE, f"the body may have {self._body_max} bytes")


def _announced(scope: "Scope") -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0
