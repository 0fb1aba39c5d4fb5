"""API_KEYS in, the answer to "may this key read?" out."""

import hashlib
import hmac
from dataclasses import dataclass

SCOPES = frozenset({"publish", "read", "operate", "admin"})
_READING = frozenset({"read", "admin"})


@dataclass(frozen=True)
class ApiKeys:
    """The keys of the system; only their SHA-256 digests are held."""

    scopes_by_digest: dict[bytes, frozenset[str]]

    @classmethod
    def parse(cls, text: str) -> "ApiKeys":
        """The keys in `<key>=<scope>+<scope>,...`; ValueError names the entry by its place, never the key."""
        keys: dict[bytes, frozenset[str]] = {}
        entries = [entry.strip() for entry in text.split(",") if entry.strip()]
        for place, entry in enumerate(entries, start=1):
            # From the right: a key in base64 may end in "=".
            key, _, given = entry.rpartition("=")
            scopes = frozenset(given.split("+"))
            if not key:
                raise ValueError(f"entry {place} is not <key>=<scope>+<scope>")
            if not scopes <= SCOPES:
                raise ValueError(f"entry {place} has a scope that is none of {', '.join(sorted(SCOPES))}")
            keys[_digest(key)] = scopes
        return cls(keys)

    def __bool__(self) -> bool:
        return bool(self.scopes_by_digest)

    def scopes(self, key: str) -> frozenset[str] | None:
        """The scopes of the key, None when it is no key; the time it takes tells nothing about the keys."""
        digest = _digest(key)
        found: frozenset[str] | None = None
        for known, scopes in self.scopes_by_digest.items():
            if hmac.compare_digest(known, digest):
                found = scopes
        return found


def may_read(scopes: frozenset[str]) -> bool:
    """Whether these scopes open the pages and the query API."""
    return bool(scopes & _READING)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
