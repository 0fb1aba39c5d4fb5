"""Headers as they came in, words for people out. Pure; whatever a stranger wrote, some text comes of it."""

from collections.abc import Iterator
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from typing import Final

LONGEST: Final = 2_000
"""Characters that are read of a header."""
MOST: Final = 100
"""Headers that are read of a mail."""

_CUT: Final = " […]"


def header(message: Message, name: str) -> str:
    """The first header of that name; "" for none."""
    return next((text_of(value) for key, value in message.raw_items() if key.lower() == name), "")


def headers(message: Message) -> Iterator[tuple[str, str]]:
    """All of them, up to a limit, in their order."""
    for number, (name, value) in enumerate(message.raw_items()):
        if number >= MOST:
            yield "…", f"only the first {MOST} headers are shown"
            return
        yield visible(name[:LONGEST]), text_of(value)


def text_of(value: object) -> str:
    """A header's value in one line: encoded words and bytes decoded, as far as they can be."""
    raw = str(value)
    is_cut = len(raw) > LONGEST
    plain = raw[:LONGEST].encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    line = " ".join(plain.split())
    try:
        pieces = "".join(_decoded(piece, charset) for piece, charset in decode_header(line))
    except (HeaderParseError, ValueError):
        pieces = line
    return visible(pieces) + (_CUT if is_cut else "")


def visible(text: str) -> str:
    """The text without characters that change how the rest is read, such as those that turn it round."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)


def _decoded(piece: bytes | str, charset: str | None) -> str:
    if isinstance(piece, str):
        return piece
    # Between encoded words the library hands out bytes that it made of text in just this way.
    return decoded(piece, charset or "raw-unicode-escape")


def decoded(content: bytes, charset: str | None) -> str:
    """Text of bytes in a charset that may be wrong, or that nobody knows."""
    try:
        text = content.decode(charset or "utf-8", "replace")
    except (LookupError, ValueError):
        text = content.decode("utf-8", "replace")
    # Some charsets make half characters, which cannot be sent.
    return text.encode("utf-8", "replace").decode()
