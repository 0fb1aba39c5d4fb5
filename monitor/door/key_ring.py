"""An API key in, what it may do out: by API_KEYS, else as the gateway says, which knows all others."""

import hashlib
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from monitor.door.keys import ApiKeys
from shared.api import GatewayApi, Refusal, Unreachable

_KNOWN_FOR_S: Final = 15.0
"""How long what the gateway said is believed: so long may a revoked key go on to look."""
_REFUSED_FOR_S: Final = 1.0
_REMEMBERED: Final = 1_000
_ANSWER_LIMIT_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a key."""

    name: str
    scopes: frozenset[str]

    @property
    def may_read(self) -> bool:
        """Whether the scopes open the pages and the query API."""
        return bool(self.scopes & {"read", "admin"})


EVERYBODY: Final = Holder("everybody", frozenset({"admin"}))


class KeysUnknown(Exception):
    """The gateway, which alone could know the key, does not answer."""


class KeyRing:
    """Knows keys. Without API_KEYS and without a gateway everybody may look."""

    def __init__(self, keys: ApiKeys, api: GatewayApi | None) -> None:
        self._keys = keys
        self._api = api
        self._said: dict[bytes, tuple[float, Holder | None]] = {}

    async def holder(self, key: str | None) -> Holder | None:
        """Who holds this key, or who may look without one; None for nobody. Raises KeysUnknown."""
        if key is not None:
            scopes = self._keys.scopes(key)
            if scopes is not None:
                return Holder(f"sha256:{_digest(key).hex()[:12]}", scopes)
        if key is None and self._keys:
            return None  # keys are asked for; nobody need tell us, least of all a gateway that is away
        if self._api is None:
            return EVERYBODY if key is None else None
        return await self._asked(self._api, key)

    async def _asked(self, api: GatewayApi, key: str | None) -> Holder | None:
        digest, now = _digest(key or ""), time.monotonic()
        said = self._said.get(digest)
        if said is not None and said[0] > now:
            return said[1]
        try:
            me = await api.with_key(key).get("/v1/me", quiet=True, limit_s=_ANSWER_LIMIT_S)
            holder = Holder(str(me["name"]), frozenset(me["scopes"]))
        except Refusal as refusal:
            if refusal.status != HTTPStatus.UNAUTHORIZED:
                raise KeysUnknown(str(refusal)) from refusal
            holder = None
        except Unreachable as away:
            raise KeysUnknown(str(away)) from away
        while len(self._said) >= _REMEMBERED:
            del self._said[next(iter(self._said))]
        self._said[digest] = (now + (_KNOWN_FOR_S if holder else _REFUSED_FOR_S), holder)
        return holder


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
