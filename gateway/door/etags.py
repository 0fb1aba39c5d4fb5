"""ETags: a representation in, its tag out; and whether a client has it already (RFC 9110, section 13)."""

from collections.abc import Sequence
from hashlib import blake2b

from starlette.responses import Response


def etag_of(body: bytes) -> str:
    """The strong tag of these bytes."""
    return f'"{blake2b(body, digest_size=12).hexdigest()}"'


def tags_in(header: str) -> Sequence[str]:
    """The tags of `If-Match` or `If-None-Match`; a weak one without its W/."""
    return [tag.strip().removeprefix("W/") for tag in header.split(",")]


def is_known(etag: str, if_none_match: str | None) -> bool:
    """Whether the client has this representation (RFC 9110, section 13.1.2)."""
    if if_none_match is None:
        return False
    return not {etag, "*"}.isdisjoint(tags_in(if_none_match))


def fresh_or_304(
    body: bytes, etag: str, if_none_match: str | None, headers: dict[str, str] | None = None
) -> Response:
    """The body, or 304 where the client has it."""
    told = {"ETag": etag, "Cache-Control": "no-cache", **(headers or {})}
    if is_known(etag, if_none_match):
        return Response(status_code=304, headers=told)
    return Response(body, media_type="application/json", headers=told)
