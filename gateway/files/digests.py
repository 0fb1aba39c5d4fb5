"""Digest headers of RFC 9530: the sha-256 that a client announces in, agreement or a refusal out."""

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from typing import TYPE_CHECKING, Final

from gateway.door.problem_kinds import DIGEST_MISMATCH, INVALID
from gateway.door.problems import Refused
from shared.errors import Problem

if TYPE_CHECKING:
    from starlette.datastructures import Headers

_SHA256: Final = re.compile(r"(?:^|,)\s*sha-256\s*=\s*:([A-Za-z0-9+/=]*):")
_NAMES: Final = ("repr-digest", "content-digest")
_DIGEST_BYTES: Final = 32


def announced_digests(headers: "Headers") -> dict[str, bytes]:
    """The sha-256 of each digest header, other algorithms left aside; Refused when one is malformed."""
    found: dict[str, bytes] = {}
    for name in _NAMES:
        match = _SHA256.search(headers.get(name, ""))
        if match:
            found[name] = _decoded(name, match[1])
    return found


def check_digests(announced: dict[str, bytes], sha256: str) -> None:
    """Refused when the file that came is not the one that was announced."""
    for name, digest in announced.items():
        if digest.hex() != sha256:
            fault = f"the file that came has sha-256 {sha256}"
            raise Refused(DIGEST_MISMATCH, fault, errors=[Problem(f"/{name}", fault)])


def repr_digest(sha256: str) -> str:
    """The header Repr-Digest of a file."""
    return f"sha-256=:{b64encode(bytes.fromhex(sha256)).decode()}:"


def _decoded(name: str, text: str) -> bytes:
    try:
        digest = b64decode(text, validate=True)
    except Base64Error:
        digest = b""
    if len(digest) != _DIGEST_BYTES:
        fault = "must be sha-256=:<base64 of 32 bytes>:"
        raise Refused(INVALID, f"{name} {fault}", errors=[Problem(f"/{name}", fault)])
    return digest
