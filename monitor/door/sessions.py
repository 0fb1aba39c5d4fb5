"""Who looks: an API key in, a sealed cookie out, and back; any replica with the same secret can open it.

The cookie holds the key itself, sealed (XSalsa20-Poly1305): what a reader orders is asked of the gateway with
the reader's own key, so the gateway decides, and a key that is revoked there opens nothing here.
"""

import hashlib
import hmac
import os
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

COOKIE: Final = "trunkline_monitor"
LASTS_S: Final = 12 * 3600

_SECRET_BYTES: Final = 32


class Session(msgspec.Struct, frozen=True, array_like=True):
    """Somebody who has logged in; `key` is None where everybody may look."""

    key: str | None
    name: str
    scopes: frozenset[str]
    ends_at: float
    id: str

    @property
    def may_operate(self) -> bool:
        """Whether the gateway would take orders from this key; only for what is offered, it decides."""
        return bool(self.scopes & {"operate", "admin"})


_session: Final = msgspec.msgpack.Decoder(Session)


class Sessions:
    """Seals sessions into cookies and opens them."""

    def __init__(self, secret: bytes, *, now: Callable[[], float] = time.time) -> None:
        self._box = SecretBox(hashlib.sha256(b"trunkline session" + secret).digest())
        self._token_key = hashlib.sha256(b"trunkline form" + secret).digest()
        self._now = now

    def begin(self, key: str | None, *, name: str, scopes: frozenset[str]) -> Session:
        """A session that lasts for LASTS_S."""
        return Session(key, name, scopes, self._now() + LASTS_S, secrets.token_hex(8))

    def seal(self, session: Session) -> str:
        """The session as a cookie's value."""
        return urlsafe_b64encode(self._box.encrypt(msgspec.msgpack.encode(session))).decode()

    def opened(self, cookie: str | None) -> Session | None:
        """The session of the cookie; None for a forged or broken one, and when it has ended."""
        if not cookie:
            return None
        try:
            session = _session.decode(self._box.decrypt(urlsafe_b64decode(cookie)))
        except (CryptoError, ValueError, TypeError, msgspec.MsgspecError):
            return None
        return session if session.ends_at > self._now() else None

    def token(self, session: Session) -> str:
        """What a form of this session carries, so that no other site can send one (CSRF)."""
        return hmac.new(self._token_key, session.id.encode(), hashlib.sha256).hexdigest()

    def is_token(self, session: Session, given: str) -> bool:
        """Whether a form carried the session's token."""
        return hmac.compare_digest(self.token(session).encode(), given.encode("utf-8", "replace"))


def secret_of(setting: str, folder: Path) -> bytes:
    """MONITOR_SECRET; where that is not set, one that is made once and kept in the folder.

    Raises OSError when the folder is of no use.
    """
    if setting:
        return setting.encode()
    file = folder / "secret"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        kept = file.read_bytes()
        if len(kept) >= _SECRET_BYTES:
            return kept
        descriptor = os.open(file, os.O_WRONLY | os.O_TRUNC, 0o600)
    made = secrets.token_bytes(_SECRET_BYTES)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(made)
    return made
