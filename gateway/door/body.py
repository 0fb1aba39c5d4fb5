"""A request's body: what comes in in parts, whole."""

from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect

if TYPE_CHECKING:
    from starlette.types import Receive


async def read_body(receive: "Receive") -> bytes:
    """The body; its size is BodyLimit's business. ClientDisconnect when it was cut off."""
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        return message.get("body", b"")
    chunks: list[bytes] = []
    while message["type"] != "http.disconnect":
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(chunks)
        message = await receive()
    raise ClientDisconnect
