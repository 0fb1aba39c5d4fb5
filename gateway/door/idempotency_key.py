"""The header Idempotency-Key: a request in, its key and its fingerprint out.

The syntax is draft-ietf-httpapi-idempotency-key-header-07, a structured-field String (RFC 9651); a key
without quotes is taken as well, since most clients send one.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from gateway.door.problem_kinds import INVALID_IDEMPOTENCY_KEY
from gateway.door.problems import Refused
from shared.errors import Problem

HEADER: Final = b"idempotency-key"
LONGEST_KEY: Final = 255

_QUOTED: Final = re.compile(rb'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')
_ESCAPED: Final = re.compile(rb'\\(["\\])')
# A bare comma may stand between two keys that a proxy has joined.
_BARE: Final = re.compile(rb"[\x21\x23-\x2b\x2d-\x5b\x5d-\x7e]+")
_FINGERPRINTED: Final = (b"content-type", b"ce-")


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """A request that has a key; the same principal, key and fingerprint make it the same request."""

    principal: bytes = field(repr=False)
    key: str
    fingerprint: bytes


def key_of(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The key, without its quotes; None when there is no header. Refused when it is malformed.

    All that a request without a key pays for.
    """
    given = [value for name, value in headers if name == HEADER]
    if not given:
        return None
    if len(given) > 1:
        raise _malformed("is given twice")
    value = given[0].strip(b" \t")
    quoted = _QUOTED.fullmatch(value)
    if quoted:
        key = _ESCAPED.sub(rb"\1", quoted[1])
    elif _BARE.fullmatch(value):
        key = value
    elif not value:
        raise _malformed("is empty")
    else:
        raise _malformed(
            'must be printable ASCII; quote it ("...") if it has a space, comma, quote or backslash'
        )
    if not 1 <= len(key) <= LONGEST_KEY:
        raise _malformed(f"must have 1 to {LONGEST_KEY} characters, this one has {len(key)}")
    return key.decode("ascii")


def fingerprint_of(scope: Any, body: bytes) -> bytes:
    """What makes it the same request: method, path, query, content type, CloudEvents headers and body."""
    headers = sorted((name, value) for name, value in scope["headers"] if name.startswith(_FINGERPRINTED))
    parts = [scope["method"].encode(), scope["path"].encode(), scope["query_string"]]
    parts += [part for header in headers for part in header]
    digest = sha256()
    for part in (*parts, body):
        # With its length before it, so that no part can run over into the next.
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()


def _malformed(fault: str) -> Refused:
    return Refused(
        INVALID_IDEMPOTENCY_KEY,
        f"the header Idempotency-Key {fault}",
        errors=[Problem("/idempotency-key", fault)],
    )
