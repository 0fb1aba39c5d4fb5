"""Uploads at the door: a request of any size in, a small one about bytes that lie in the object store out.

What stands behind this (limits of bodies, Idempotency-Key, routes) sees a JSON body of a hundred bytes with
the file's name, media type, size and sha-256. So the same file again is the same request, however it was
sent, and no transaction waits for a slow client.
"""

import asyncio
from typing import TYPE_CHECKING, Final, cast

import msgspec
from starlette.requests import Request

from gateway.door.keys import Needs, Scope
from gateway.files.book import FileBook
from gateway.files.receiving import receive_upload
from gateway.files.upload import Upload, carry, content_key
from gateway.ledger.away import away
from shared.objects import OBJECTS_AWAY, Objects
from shared.telemetry import get_logger

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Send
    from starlette.types import Scope as AsgiScope

    from gateway.parts import Parts

PATH: Final = "/v1/files"

_OF_THE_BODY: Final = frozenset({b"content-type", b"content-length", b"transfer-encoding"})


class Uploads:
    """Wraps an app; `most_bytes` is what a file may have."""

    def __init__(self, app: "ASGIApp", most_bytes: int) -> None:
        self._app = app
        self._most_bytes = most_bytes
        self._needs = Needs(Scope.PUBLISH)

    async def __call__(self, scope: "AsgiScope", receive: "Receive", send: "Send") -> None:
        """Serve one connection; Refused for what is no upload, or one too large."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] != PATH:
            await self._app(scope, receive, send)
            return
        await self._needs(Request(scope))  # before the first byte of the body
        parts = cast("Parts", scope["app"].state.parts)
        upload = await receive_upload(scope, receive, parts.objects, most_bytes=self._most_bytes)
        body = _describe(scope, upload)
        try:
            await self._app(scope, _once(body, receive), send)
        except Exception as error:
            # While Postgres is away nobody knows whether the commit was done: cleanup will find out.
            if upload.is_entered and away(error) is None:
                upload.is_entered = not await FileBook(parts.engine).unknown([upload.id])
            raise
        finally:
            if not upload.is_entered:
                await asyncio.shield(_remove(parts.objects, upload))


def _describe(scope: "AsgiScope", upload: Upload) -> bytes:
    """Make the request one about the upload; returns its body."""
    body = msgspec.json.encode(
        {
            "name": upload.name,
            "media_type": upload.media_type,
            "size_bytes": upload.size_bytes,
            "sha256": upload.sha256,
        }
    )
    headers = [(name, value) for name, value in scope["headers"] if name not in _OF_THE_BODY]
    headers += [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    scope["headers"] = headers
    carry(scope, upload)
    return body


def _once(body: bytes, receive: "Receive") -> "Receive":
    left: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_described() -> "Message":
        return left.pop() if left else await receive()

    return receive_described


async def _remove(objects: Objects, upload: Upload) -> None:
    """The bytes of an upload that nobody will ask for: refused, failed, or there already."""
    try:
        await objects.delete(content_key(upload.id))
    except OBJECTS_AWAY as error:
        get_logger().warning(
            "upload.left_behind", file_id=upload.id, why=str(error), consequence="cleanup removes it"
        )
