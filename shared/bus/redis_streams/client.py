"""The address of a Redis in, a client out that answers or fails in time."""

from collections.abc import Sequence
from importlib.resources import files
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.driver_info import DriverInfo
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from shared.bus.redis_streams.line import Line
from shared.errors import SettingsError
from shared.settings import Secret

RedisClient = Any
"""A Client; redis-py types its commands too loosely to be of help."""

UNAVAILABLE = (RedisError, OSError, TimeoutError)
"""What a call raises when Redis is away, restarting, full or loading its data."""

_CONNECTIONS = 200
_TIMEOUT_S = 5


class Client(Redis):
    """redis-py's asyncio client, with a line beside its pool for what is called for each batch of jobs."""

    retries: int = 0
    _line: Line | None = None

    @property
    def line(self) -> Line:
        """The line that all share."""
        if self._line is None:
            self._line = Line(self.connection_pool, retries=self.retries)
        return self._line

    def own_line(self) -> Line:
        """One for the caller alone, which repeats nothing: for a command that blocks its connection."""
        return Line(self.connection_pool, retries=0)

    async def aclose(self, close_connection_pool: bool | None = None) -> None:  # noqa: FBT001 - redis-py's own
        """Close the shared line and the pool."""
        if self._line is not None:
            await self._line.close()
        await super().aclose(close_connection_pool)


_DRIVER: Final = DriverInfo()
"""Made once: redis-py would read its version from the disk for each connection, a millisecond of work."""


def connect(url: Secret, *, retries: int = 3) -> RedisClient:
    """A client that repeats a call whose connection broke, `retries` times; 0 for what must not run twice.

    Connections are opened when first used. SettingsError when the address is none.
    """
    backoff = ExponentialWithJitterBackoff(base=0.05, cap=0.5) if retries else NoBackoff()
    try:
        client: Any = Client.from_url(
            url.get_secret_value(),
            protocol=2,
            max_connections=_CONNECTIONS,
            socket_timeout=_TIMEOUT_S,
            socket_connect_timeout=_TIMEOUT_S,
            retry=Retry(backoff, retries),
            retry_on_error=[RedisConnectionError, RedisTimeoutError] if retries else [],
            driver_info=_DRIVER,
        )
    except ValueError as error:
        raise SettingsError(f"REDIS_URL: {error}; give redis://host:port/0") from error
    client.retries = retries
    return client


def script(client: RedisClient, package: str, name: str) -> "Script":
    """The Lua script `name` that lies beside the code of the package."""
    return Script(client.line, files(package).joinpath(f"{name}.lua").read_text())


class Script:
    """A Lua script that is sent once and called by its hash from then on."""

    def __init__(self, line: Line, text: str) -> None:
        self._line = line
        self._text = text
        self._sha = ""

    async def __call__(self, keys: Sequence[str], arguments: Sequence[str | bytes | int]) -> Any:
        """What the script returns; one round trip but for the first call on a server."""
        if not self._sha:
            self._sha = await self._load()
        try:
            return await self._line("EVALSHA", self._sha, len(keys), *keys, *arguments)
        except NoScriptError:
            self._sha = await self._load()
            return await self._line("EVALSHA", self._sha, len(keys), *keys, *arguments)

    async def _load(self) -> str:
        return (await self._line("SCRIPT", "LOAD", self._text)).decode()
