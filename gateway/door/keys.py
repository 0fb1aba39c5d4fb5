"""Who may do what: `Authorization: Bearer <key>` in, a Key with its scopes out, or 401 and 403.

Keys are kept as SHA-256 only: they are long and random, so that a slow hash would protect nothing more.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, Protocol, cast
from urllib.parse import parse_qsl

from fastapi import FastAPI, Request, Security
from fastapi.openapi.models import HTTPBearer
from fastapi.routing import iter_route_contexts
from fastapi.security.base import SecurityBase

from gateway.door.problem_kinds import KEY_IN_QUERY, MISSING_KEY, WRONG_KEY, WRONG_SCOPE
from gateway.door.problems import Refused

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Send
    from starlette.types import Scope as AsgiScope

GUARDED: Final = "/v1"
UNKNOWN: Final = "the Authorization header carries no key that is known here"
_KEY: Final = "trunkline.key"
_BEARER: Final = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr] +([\x21-\x7e]+)")
_DIGEST: Final = re.compile(r"sha256:([0-9a-fA-F]{64})")
_QUERY_NAMES: Final = frozenset({"access_token", "api_key", "apikey", "api-key", "authorization", "token"})


class Scope(StrEnum):
    """What a key may do. `admin` may do all."""

    PUBLISH = "publish"
    READ = "read"
    OPERATE = "operate"
    ADMIN = "admin"


class Source(StrEnum):
    """Where a key comes from; `off` is everybody's, with API_AUTH=off."""

    SETTING = "setting"
    STORED = "stored"
    OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An API key as we know it: its SHA-256, what it may do, and what it is called."""

    id: str
    name: str
    digest: bytes
    scopes: frozenset[Scope]
    source: Source
    expires_at: datetime | None = None

    def may(self, scope: Scope) -> bool:
        """Whether the key has the scope, by itself or as admin."""
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def __repr__(self) -> str:
        return f"Key({'+'.join(sorted(self.scopes))})"


EVERYBODY: Final = Key(
    id="everybody", name="everybody", digest=b"", scopes=frozenset({Scope.ADMIN}), source=Source.OFF
)
"""Who calls when API_AUTH=off."""


class Keys(Protocol):
    """The keys that are let in."""

    def find(self, presented: bytes) -> Key | None:
        """The key that was presented, if it is known; the time it takes tells nothing about the keys."""
        ...

    async def look_up(self, presented: bytes) -> Key | str:
        """Asked for what `find` does not know: the key after all, or why it is refused."""
        ...


class ApiKeys:
    """The keys of the setting API_KEYS."""

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self._keys = {key.digest: key for key in keys}

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[Key]:
        return iter(self._keys.values())

    def __repr__(self) -> str:
        return f"ApiKeys({len(self)} keys)"

    @classmethod
    def parse(cls, value: object) -> "ApiKeys":
        """The keys in `<key>=<scope>+<scope>,...`; ValueError says which entry is wrong, without its key."""
        if isinstance(value, ApiKeys):
            return value
        if not isinstance(value, str):
            raise ValueError("must be text: <key>=<scope>+<scope>,...")  # noqa: TRY004 - pydantic wants ValueError
        entries = [entry.strip() for entry in value.split(",")]
        return cls(_key(number, entry) for number, entry in enumerate(entries, 1) if entry)

    def find(self, presented: bytes) -> Key | None:
        """The key that was presented; looked up by its digest, so that the time it takes tells nothing."""
        return self._keys.get(sha256(presented).digest())

    async def look_up(self, presented: bytes) -> Key | str:
        """A setting does not change: what is not known is not let in."""
        del presented
        return UNKNOWN


class Needs(SecurityBase):
    """The dependency of a route under /v1: lets in who has the scope; None is any key that is known."""

    def __init__(self, scope: Scope | None) -> None:
        self.scope = scope
        self.scheme_name = "ApiKey"
        self.model = HTTPBearer(description="An API key with the scope that the route needs.")

    async def __call__(self, request: Request) -> Key:
        """The caller's key; 403 names the scope that it lacks."""
        key = cast("Key", request.scope[_KEY])
        if self.scope is not None and not key.may(self.scope):
            raise Refused(
                WRONG_SCOPE,
                f"this needs the scope {self.scope}",
                headers={"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{self.scope}"'},
                members={"scope": str(self.scope)},
            )
        return key


def key_of(scope: "AsgiScope") -> Key:
    """Who calls."""
    return cast("Key", scope[_KEY])


def principal_of(scope: "AsgiScope") -> bytes:
    """Who calls, as bytes that no key can be told from; empty when API_AUTH=off."""
    return cast("Key", scope[_KEY]).digest


def needs(scope: Scope) -> Any:
    """For `dependencies=[needs(Scope.READ)]` of a route or a router."""
    return Security(Needs(scope), scopes=[str(scope)])


class KeyCheck:
    """Who has no key finds all under /v1 closed, also paths that do not exist. `keys` None lets all in."""

    def __init__(self, app: "ASGIApp", keys: Keys | None) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: "AsgiScope", receive: "Receive", send: "Send") -> None:
        """Serve one connection; raises Refused with 401."""
        if scope["type"] == "http" and scope["path"].startswith(GUARDED):
            scope[_KEY] = EVERYBODY if self._keys is None else await _identified(self._keys, scope)
        await self._app(scope, receive, send)


def refuse_open_routes(app: FastAPI) -> None:
    """Default deny: ValueError when a route under /v1 asks for no scope."""
    for route in iter_route_contexts(app.routes):
        path = route.path or ""
        if path.startswith(GUARDED) and not _asks(getattr(route, "dependant", None)):
            methods = "/".join(sorted(route.methods or ()))
            raise ValueError(f"{methods} {path} asks for no scope; add dependencies=[needs(Scope....)]")


def _asks(dependant: Any) -> bool:
    if dependant is None:
        return False
    return isinstance(dependant.call, Needs) or any(_asks(child) for child in dependant.dependencies)


def _key(number: int, entry: str) -> Key:
    secret, separator, names = entry.rpartition("=")
    if not separator or not secret:
        raise ValueError(f"entry {number} must be <key>=<scope>+<scope>")
    try:
        scopes = frozenset(Scope(name.strip()) for name in names.split("+"))
    except ValueError:
        known = ", ".join(Scope)
        raise ValueError(f"entry {number} has an unknown scope; there are {known}") from None
    given = _DIGEST.fullmatch(secret)
    if given:
        return _of_setting(bytes.fromhex(given[1]), scopes)
    if secret.startswith("sha256:"):
        raise ValueError(f"entry {number} has a sha256 that is not 64 hexadecimal digits")
    return _of_setting(sha256(secret.encode()).digest(), scopes)


def _of_setting(digest: bytes, scopes: frozenset[Scope]) -> Key:
    name = f"sha256:{digest.hex()[:12]}"
    return Key(id=name, name=name, digest=digest, scopes=scopes, source=Source.SETTING)


async def _identified(keys: Keys, scope: "AsgiScope") -> Key:
    _refuse_query(scope["query_string"])
    given = [value for name, value in scope["headers"] if name == b"authorization"]
    if not given:
        raise Refused(MISSING_KEY, "send Authorization: Bearer <key>", headers={"WWW-Authenticate": "Bearer"})
    match = _BEARER.fullmatch(given[0].strip()) if len(given) == 1 else None
    key = keys.find(match[1]) if match else None
    if key is not None:
        return key
    found = await keys.look_up(match[1]) if match else UNKNOWN
    if isinstance(found, str):
        raise Refused(WRONG_KEY, found, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
    return found


def _refuse_query(query: bytes) -> None:
    """A key in a URL ends up in logs and histories; who sends one must learn that it does not work."""
    if not query:
        return
    for name, _ in parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=None):
        if name.lower() in _QUERY_NAMES:
            raise Refused(
                KEY_IN_QUERY,
                f"the query parameter {name!r} is not accepted; send Authorization: Bearer <key>",
                headers={"WWW-Authenticate": "Bearer"},
            )
