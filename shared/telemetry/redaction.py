"""What must not leave the process in a line or a span: values by their key, addresses by their look."""

import re
from functools import lru_cache
from typing import Final

REDACTED: Final = "[redacted]"

_SECRET_KEYS: Final = frozenset(
    {"address", "bcc", "body", "cc", "content", "data", "dsn", "email", "html", "recipient", "subject", "to"}
)
_SECRET_PARTS: Final = (
    "api_key",
    "apikey",
    "authorization",
    "cookie",
    "credential",
    "passwd",
    "password",
    "private_key",
    "secret",
    "token",
)
# One class on each side and no repetition inside another: the time stays linear whatever the text is.
# The same pattern hides the password of a URL: redis://user:secret@host -> redis://user:[redacted]
_ADDRESS: Final = re.compile(r"[^\s@<>\"'(),;:/]+@[^\s@<>\"'(),;:/]+")


@lru_cache(maxsize=4096)
def is_secret(key: str) -> bool:
    """Whether a field of this name may hold a credential, an address or the words of a person."""
    name = key.lower().replace("-", "_")
    return name in _SECRET_KEYS or any(part in name for part in _SECRET_PARTS)


def mask(text: str) -> str:
    """`text` without mail addresses and without the credentials of URLs; what a library put in a message."""
    return _ADDRESS.sub(REDACTED, text) if "@" in text else text
