"""A file's bytes as an answer: its key and the request's conditions in, 200, 206, 304 or 416 out."""

import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final, NamedTuple

from starlette.responses import Response, StreamingResponse

from gateway.door.problem_kinds import NOT_FOUND, RANGE_UNSATISFIABLE
from gateway.door.problems import Refused, unavailable
from gateway.files.names import attachment
from shared.objects import OBJECTS_AWAY, ObjectMissing, Objects

if TYPE_CHECKING:
    from starlette.datastructures import Headers

_RANGE: Final = re.compile(r"bytes=(?:(\d{1,19})-(\d{0,19})|-(\d{1,19}))")
_SAFE: Final = {
    # Whatever the bytes are, a browser shall keep them, not run them.
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Accept-Ranges": "bytes",
    "Cache-Control": "private, no-cache",
}


class Download(NamedTuple):
    """What is to be sent; `etag` without quotes."""

    key: str
    name: str
    media_type: str
    size_bytes: int
    etag: str


class Slice(NamedTuple):
    """A part of the bytes, not empty."""

    first: int
    length: int


async def send(
    objects: Objects, download: Download, headers: "Headers", extra: dict[str, str] | None = None
) -> Response:
    """The answer; Refused with 416 for a range behind the end, 404 or 503 when the bytes cannot be had."""
    etag = f'"{download.etag}"'
    answer = {
        **_SAFE,
        "ETag": etag,
        "Content-Type": download.media_type,  # here, for Starlette would add a charset that nobody knows
        "Content-Disposition": attachment(download.name),
        **(extra or {}),
    }
    if _is_known(etag, headers.get("if-none-match", "")):
        return Response(status_code=304, headers=answer)
    wanted = _wanted(headers, etag, download.size_bytes)
    part = wanted or Slice(0, download.size_bytes)
    answer["Content-Length"] = str(part.length)
    if wanted is not None:
        last = wanted.first + wanted.length - 1
        answer["Content-Range"] = f"bytes {wanted.first}-{last}/{download.size_bytes}"
    chunks = await _open(objects, download.key, part)
    return StreamingResponse(chunks, 206 if wanted else 200, answer)


def wanted_range(header: str, size_bytes: int) -> Slice | None:
    """The one range that is asked for (RFC 9110, section 14); None for all of it, as for what we cannot read.

    Several ranges are answered with all of it, which the RFC allows. Refused with 416 behind the end.
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None:
        return None
    begin, end, suffix = match.groups()
    if suffix is not None:
        first, last = max(size_bytes - int(suffix), 0), size_bytes - 1
        is_within = int(suffix) > 0 and size_bytes > 0
    else:
        first, last = int(begin), min(int(end) if end else size_bytes - 1, size_bytes - 1)
        if end and int(end) < first:
            return None
        is_within = first < size_bytes
    if not is_within:
        raise Refused(
            RANGE_UNSATISFIABLE,
            f"there are {size_bytes} bytes",
            headers={"Content-Range": f"bytes */{size_bytes}"},
        )
    return Slice(first, last - first + 1)


def _wanted(headers: "Headers", etag: str, size_bytes: int) -> Slice | None:
    """A range counts only while the file is the one that the client has the rest of."""
    if headers.get("if-range", etag) != etag:
        return None
    return wanted_range(headers.get("range", ""), size_bytes)


def _is_known(etag: str, if_none_match: str) -> bool:
    known = [one.strip().removeprefix("W/") for one in if_none_match.split(",")]
    return etag in known or "*" in known


async def _open(objects: Objects, key: str, part: Slice) -> AsyncIterator[bytes]:
    """The bytes; the store is asked before the answer begins, so that its refusal has a status of its own."""
    if part.length == 0:
        return _none()
    try:
        return await objects.read(key, first=part.first, length=part.length)
    except ObjectMissing:
        raise Refused(NOT_FOUND, "the bytes are not in the object store any more") from None
    except OBJECTS_AWAY as error:
        raise unavailable("the object store") from error


async def _none() -> AsyncIterator[bytes]:
    for nothing in ():
        yield nothing
