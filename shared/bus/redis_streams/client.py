"""The address of a Redis in, a client out that answers or fails in time."""

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from shared.errors import SettingsError
from shared.settings import Secret

RedisClient = Any
"""redis-py's asyncio client, which types its commands too loosely to be of help."""

UNAVAILABLE = (RedisError, OSError, TimeoutError)
"""What a call raises when Redis is away, restarting, full or loading its data."""

_CONNECTIONS = 200
_TIMEOUT_S = 5


def connect(url: Secret, *, retries: int = 3) -> RedisClient:
    """A client that repeats a call whose connection broke, `retries` times; 0 for what must not run twice.

    Connections are opened when first used. SettingsError when the address is none.
    """
    backoff = ExponentialWithJitterBackoff(base=0.05, cap=0.5) if retries else NoBackoff()
    try:
        return Redis.from_url(
            url.get_secret_value(),
            protocol=2,
            max_connections=_CONNECTIONS,
            socket_timeout=_TIMEOUT_S,
            socket_connect_timeout=_TIMEOUT_S,
            retry=Retry(backoff, retries),
            retry_on_error=[RedisConnectionError, RedisTimeoutError] if retries else [],
        )
    except ValueError as error:
        raise SettingsError(f"REDIS_URL: {error}; give redis://host:port/0") from error


def script(client: RedisClient, package: str, name: str) -> "Script":
    """The Lua script `name` that lies beside the code of the package."""
    return Script(client, files(package).joinpath(f"{name}.lua").read_text())


class Script:
    """A Lua script that is sent once and called by its hash from then on."""

    def __init__(self, client: RedisClient, text: str) -> None:
        self._client = client
        self._text = text
        self._sha = ""

    async def __call__(self, keys: Sequence[str], arguments: Sequence[str | bytes | int]) -> Any:
        """What the script returns; one round trip but for the first call on a server."""
        if not self._sha:
            self._sha = await self._client.script_load(self._text)
        try:
            return await self._client.evalsha(self._sha, len(keys), *keys, *arguments)
        except NoScriptError:
            self._sha = await self._client.script_load(self._text)
            return await self._client.evalsha(self._sha, len(keys), *keys, *arguments)
