"""An upload in, the file in the object store out: raw or as a form, never whole in memory."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

from pydantic import TypeAdapter, ValidationError
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect

from gateway.door.problem_kinds import FILE_TOO_LARGE, INVALID, UNSUPPORTED_MEDIA_TYPE, UPLOAD_STALLED
from gateway.door.problems import Refused, unavailable
from gateway.files.digests import announced_digests, check_digests
from gateway.files.multipart import OVERHEAD_BYTES, OneFile, is_form
from gateway.files.names import file_name
from gateway.files.upload import Upload, content_key
from shared.contracts import new_id
from shared.contracts.event import MediaType
from shared.errors import Problem
from shared.objects import OBJECTS_AWAY, Objects, ObjectTooLarge, Stored

if TYPE_CHECKING:
    from starlette.types import Receive, Scope

LONGEST_SILENCE: Final = timedelta(minutes=1)
"""A client that sends nothing for so long is not waited for."""

_UNKNOWN: Final = "application/octet-stream"
_PIECE_BYTES: Final = 1 << 20
_MEDIA_TYPE: Final = TypeAdapter[str](MediaType)


async def receive_upload(scope: "Scope", receive: "Receive", objects: Objects, *, most_bytes: int) -> Upload:
    """Keep the file of the request; whatever ends this early leaves nothing in the store.

    Refused with 413 for what is larger than `most_bytes`, at once where Content-Length says so; with 4xx for
    what is no upload, 503 when the store does not answer. ClientDisconnect when the client has gone.
    """
    headers = Headers(scope=scope)
    content_type = _one(headers, "content-type") or _UNKNOWN
    _refuse_encoded(headers)
    file_id, announced = new_id(), announced_digests(headers)
    if is_form(content_type):
        form = OneFile(content_type)
        _refuse_large(headers, most_bytes + OVERHEAD_BYTES, most_bytes)
        source = _of_form(_body(receive, most_bytes + OVERHEAD_BYTES, most_bytes), form)
        stored = await _keep(objects, file_id, source, most_bytes)
        name, media_type, announced = form.name, _media_type(form.media_type or _UNKNOWN), {}
    else:
        name, media_type = _name_in_query(scope), _media_type(content_type)
        _refuse_large(headers, most_bytes, most_bytes)
        stored = await _keep(objects, file_id, _body(receive, most_bytes, most_bytes), most_bytes)
    upload = Upload(file_id, name, media_type, stored.size_bytes, stored.sha256)
    try:
        check_digests(announced, upload.sha256)
    except Refused:
        await objects.delete(content_key(file_id))
        raise
    return upload


async def _keep(objects: Objects, file_id: str, source: AsyncIterator[bytes], most_bytes: int) -> Stored:
    try:
        return await objects.put(content_key(file_id), _gathered(source), limit_bytes=most_bytes)
    except ObjectTooLarge as error:
        raise _too_large(error.limit_bytes) from None
    except OBJECTS_AWAY as error:
        raise unavailable("the object store") from error


async def _body(receive: "Receive", most_bytes: int, said_bytes: int) -> AsyncGenerator[bytes]:
    """The pieces of the body as they come in."""
    received = 0
    while True:
        try:
            async with asyncio.timeout(LONGEST_SILENCE.total_seconds()):
                message = await receive()
        except TimeoutError:
            silence_s = LONGEST_SILENCE.total_seconds()
            raise Refused(UPLOAD_STALLED, f"no byte of the file came for {silence_s:.0f} s") from None
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        piece = message.get("body", b"")
        received += len(piece)
        if received > most_bytes:
            raise _too_large(said_bytes)
        yield piece
        if not message.get("more_body", False):
            return


async def _of_form(body: AsyncIterator[bytes], form: OneFile) -> AsyncGenerator[bytes]:
    async for piece in body:
        yield form.feed(piece)
    form.finish()


async def _gathered(pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """The same bytes in larger pieces: each costs the store a change of threads."""
    waiting: list[bytes] = []
    size_bytes = 0
    async for piece in pieces:
        waiting.append(piece)
        size_bytes += len(piece)
        if size_bytes >= _PIECE_BYTES:
            yield b"".join(waiting)
            waiting, size_bytes = [], 0
    yield b"".join(waiting)


def _name_in_query(scope: "Scope") -> str:
    names = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True).get("name", [])
    if len(names) != 1:
        fault = "is given twice" if names else "is missing; say ?name=orders.csv"
        raise Refused(INVALID, f"name: {fault}", errors=[Problem("/name", fault)])
    return file_name(names[0])


def _media_type(given: str) -> str:
    try:
        return _MEDIA_TYPE.validate_python(given.strip())
    except ValidationError:
        fault = "is no media type such as text/csv"
        raise Refused(INVALID, f"Content-Type {fault}", errors=[Problem("/content-type", fault)]) from None


def _refuse_encoded(headers: Headers) -> None:
    """Bytes are kept as they come: a file that came compressed would be taken for another one."""
    encoding = (_one(headers, "content-encoding") or "identity").strip().lower()
    if encoding != "identity":
        raise Refused(UNSUPPORTED_MEDIA_TYPE, "send the file without Content-Encoding")


def _refuse_large(headers: Headers, most_bytes: int, said_bytes: int) -> None:
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length) > most_bytes:
        raise _too_large(said_bytes)


def _too_large(limit_bytes: int) -> Refused:
    return Refused(FILE_TOO_LARGE, f"a file may have {limit_bytes} bytes")


def _one(headers: Headers, name: str) -> str | None:
    values = headers.getlist(name)
    if len(values) > 1:
        raise Refused(INVALID, f"{name} is given twice", errors=[Problem(f"/{name}", "is given twice")])
    return values[0] if values else None
