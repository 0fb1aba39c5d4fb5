"""Which dead jobs died of the same thing: an error in, its fingerprint and frame out. Pure."""

import re
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from shared.stacks import own_place

_SHOWN_MAX: Final = 200

# What differs from one occurrence to the next: numbers and ids with whatever they are joined to, and names.
_QUOTED: Final = re.compile(r"""(?<!\w)'[^'\n]*'(?!\w)|"[^"\n]*"|`[^`\n]*`""")
_NUMBERED: Final = re.compile(r"[^\s'\"`]*\d[^\s'\"`]*")
_HEX: Final = re.compile(r"\b[0-9a-fA-F]{8,}\b")


class Fingerprint(NamedTuple):
    """What a dead job is grouped by."""

    digits: str
    """16 hex digits: the same for jobs of one handler that died of the same error in the same function."""
    frame: str | None
    """`email_service/handlers.py:41 in send`: where in one's own code it was raised, if it was."""


def fingerprint_of(handler: str, error: dict[str, Any] | None, reason: str | None) -> Fingerprint:
    """The error's type and the innermost of one's own functions; without one, its message in general.

    The line is not part of it: a change above it must not make another group of the same failure.
    """
    error = error or {}
    type_, message = str(error.get("type", "")), str(error.get("message", ""))
    frame = own_place(str(error.get("stack", "")))
    if frame is None:
        return Fingerprint(_digits(handler, type_, in_general(message) if error else reason or ""), None)
    shown = frame.shown[-_SHOWN_MAX:].replace("\0", "")
    return Fingerprint(_digits(handler, type_, frame.file, frame.function or "?"), shown)


def in_general(message: str) -> str:
    """The message without what is of one occurrence: quoted text, and words that hold digits."""
    for pattern in (_QUOTED, _NUMBERED, _HEX):
        message = pattern.sub("?", message)
    return message


def _digits(*parts: str) -> str:
    return blake2b("\0".join(parts).encode(errors="replace"), digest_size=8).hexdigest()
