"""What was given as JSON on the command line in: itself, `-` or `@file`; the JSON, checked, out."""

import sys
from pathlib import Path

import msgspec

from launcher.operate.errors import Misused


def json_given(text: str, what: str) -> msgspec.Raw:
    """The bytes as they came: numbers keep their digits; Misused for what is no JSON."""
    content = _content(text, what)
    try:
        msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Misused(f"{what}: is no JSON ({error})") from None
    return msgspec.Raw(content)


def _content(text: str, what: str) -> bytes:
    try:
        if text == "-":
            return sys.stdin.buffer.read()
        if text.startswith("@"):
            return Path(text[1:]).read_bytes()
    except OSError as error:
        raise Misused(f"{what}: {text.removeprefix('@')}: {error.strerror}") from None
    return text.encode()
