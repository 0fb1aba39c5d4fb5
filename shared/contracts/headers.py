"""CloudEvents attribute values in HTTP and NATS headers: percent-encoding as their bindings ask for it.

Source: CloudEvents HTTP protocol binding 1.0.2, section 3.1.3.2; the NATS binding is the same.
"""

import re
from urllib.parse import unquote_to_bytes

from shared.errors import EnvelopeError, Problem

_PLAIN = re.compile(r"[\x21\x23\x24\x26-\x7e]*")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(r"\\(.)")


def encode_header(value: str) -> str:
    """The value with space, `"`, `%` and all that is no printable ASCII as %XY of its UTF-8."""
    if _PLAIN.fullmatch(value):
        return value
    return "".join(
        char if _PLAIN.fullmatch(char) else "".join(f"%{byte:02X}" for byte in char.encode())
        for char in value
    )


def decode_header(name: str, value: str) -> str:
    """The value that the header carries; EnvelopeError when its bytes are no UTF-8."""
    quoted = _QUOTED.fullmatch(value)
    if quoted:
        value = _ESCAPE.sub(r"\1", quoted[1])
    if "%" not in value:
        return value
    try:
        return unquote_to_bytes(value).decode("utf-8")
    except UnicodeDecodeError:
        raise EnvelopeError(
            f"no CloudEvent: the header of {name} is no UTF-8", [Problem(f"/{name}", "is no UTF-8")]
        ) from None
