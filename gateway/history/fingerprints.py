"""Which dead jobs died of the same thing: an error in, its fingerprint and frame out. Pure."""

import re
from hashlib import blake2b
from typing import Any, Final, NamedTuple

# Frames of the error itself: those of the errors in a group stand deeper, and come in any order.
_FRAME: Final = re.compile(
    r'^(?:  \|)? +File "(?P<path>[^"\n]+)", line (?P<line>\d+)(?:, in (?P<function>.+))?$', re.MULTILINE
)
_PACKAGES: Final = re.compile(r".*[/\\](?:site|dist)-packages[/\\](?P<package>[^/\\]+)")
_STANDARD: Final = re.compile(r".*[/\\]lib(?:64)?[/\\]python\d[\d.]*(?:\.zip)?[/\\]|.*[/\\]Lib[/\\]|<")
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


class _Frame(NamedTuple):
    path: str
    line: str
    function: str


def fingerprint_of(handler: str, error: dict[str, Any] | None, reason: str | None) -> Fingerprint:
    """The error's type and the innermost of one's own functions; without one, its message in general.

    The line is not part of it: a change above it must not make another group of the same failure.
    """
    error = error or {}
    type_, message = str(error.get("type", "")), str(error.get("message", ""))
    frame = _own_frame(str(error.get("stack", "")))
    if frame is None:
        return Fingerprint(_digits(handler, type_, in_general(message) if error else reason or ""), None)
    file = "/".join(re.split(r"[/\\]", frame.path)[-2:])
    shown = f"{file}:{frame.line} in {frame.function}"[-_SHOWN_MAX:].replace("\0", "")
    return Fingerprint(_digits(handler, type_, file, frame.function), shown)


def in_general(message: str) -> str:
    """The message without what is of one occurrence: quoted text, and words that hold digits."""
    for pattern in (_QUOTED, _NUMBERED, _HEX):
        message = pattern.sub("?", message)
    return message


def _own_frame(stack: str) -> _Frame | None:
    """The innermost frame that is neither of a library nor of Python's own.

    A service may be installed as a library is: so the package of the first frame, which is the handler's, is
    one's own wherever it lies.
    """
    frames = [
        _Frame(found["path"], found["line"], found["function"] or "?") for found in _FRAME.finditer(stack)
    ]
    home = _package(frames[0].path) if frames else None
    for frame in reversed(frames):
        package = _package(frame.path)
        if package == home if package is not None else not _STANDARD.match(frame.path):
            return frame
    return None


def _package(path: str) -> str | None:
    """The package of a path among installed packages; None elsewhere."""
    found = _PACKAGES.match(path)
    return found["package"] if found else None


def _digits(*parts: str) -> str:
    return blake2b("\0".join(parts).encode(errors="replace"), digest_size=8).hexdigest()
