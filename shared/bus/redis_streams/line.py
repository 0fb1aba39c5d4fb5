"""One connection to Redis of one's own: commands in, each one's reply out; many under way at a time.

For what is called for each batch of jobs. Measured after 20 ms of rest, as a waiting worker is: a command
takes 0.55 ms through redis-py's pool, retries and events, and 0.22 ms here (docs/decisions/0013).
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final, cast

import hiredis
from redis.asyncio import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, NoScriptError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

Word = str | bytes | int | float

_SILENCE_S: Final = 5.0
_BACKOFF_S: Final = (0.05, 0.5)
_PAUSE_MOST_S: Final = 1.0
_FAILED_MOST: Final = 10
_ONCE: Final = Retry(NoBackoff(), 0)
_MORE: Final = object()
# Its stub knows one word only.
_pack: Final[Callable[[tuple[Word, ...]], bytes]] = cast("Any", hiredis.pack_command)
_ERRORS: Final[dict[str, type[RedisError]]] = {"NOSCRIPT": NoScriptError, "LOADING": BusyLoadingError}


class Line:
    """Opens its connection when first needed, and again after it broke; redis-py logs in with all its terms.

    A command whose connection broke is repeated `retries` times: 0 for what must not run twice. Raises what
    redis-py raises; RedisTimeoutError when nothing was heard for 5 s.
    """

    def __init__(self, pool: ConnectionPool, *, retries: int) -> None:
        self._pool = pool
        self._retries = retries
        self._replies: _Replies | None = None
        self._opening: asyncio.Task[_Replies] | None = None
        self._failed = 0

    async def __call__(self, *words: Word) -> Any:
        """The reply to the command."""
        for left in range(self._retries, -1, -1):
            try:
                replies = self._replies
                if replies is None or not replies.is_open:
                    replies = await self._opened()
                return await replies.to(words)
            except (RedisConnectionError, RedisTimeoutError, OSError):
                if not left:
                    raise
                await asyncio.sleep(random.uniform(*_BACKOFF_S))  # noqa: S311 - jitter
        raise AssertionError("unreachable")

    @property
    def is_open(self) -> bool:
        """Whether the next command goes out on the connection of the last one."""
        return self._replies is not None and self._replies.is_open

    async def close(self) -> None:
        """Drop the connection; what is under way fails."""
        if self._opening is not None:
            self._opening.cancel()
        if self._replies is not None:
            self._replies.close()

    async def _opened(self) -> "_Replies":
        """A connection that is open; who comes while it is being opened waits with the others."""
        if self._opening is None:
            self._opening = asyncio.create_task(self._open())
            self._opening.add_done_callback(self._done)
        return await asyncio.shield(self._opening)

    async def _open(self) -> "_Replies":
        if self._failed:
            # However many ask again and again: while Redis is away, one attempt a second is enough.
            longest_s = min(_BACKOFF_S[0] * 2**self._failed, _PAUSE_MOST_S)
            await asyncio.sleep(random.uniform(longest_s / 2, longest_s))  # noqa: S311 - jitter
        connection: Any = self._pool.make_connection()
        connection.retry = _ONCE
        self._failed = min(self._failed + 1, _FAILED_MOST)
        await connection.connect()
        self._failed = 0
        # It has logged in and chosen its database; from here on the replies are ours to read.
        transport: asyncio.Transport = connection._writer.transport  # noqa: SLF001 - redis-py has no public way
        self._replies = _Replies(connection, transport)
        transport.set_protocol(self._replies)
        return self._replies

    def _done(self, opening: "asyncio.Task[_Replies]") -> None:
        self._opening = None
        if not opening.cancelled():
            opening.exception()  # told to all who waited for it


class _Replies(asyncio.Protocol):
    """The replies of one connection, in the order of their commands."""

    def __init__(self, connection: Any, transport: asyncio.Transport) -> None:
        self._connection = connection  # kept, for it would close the transport with itself
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader(replyError=_error, notEnoughData=_MORE)
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._heard_at = 0.0
        self._watch: asyncio.TimerHandle | None = None
        self.is_open = True

    def to(self, words: tuple[Word, ...]) -> "asyncio.Future[Any]":
        """The reply to this command."""
        reply: asyncio.Future[Any] = self._loop.create_future()
        if not self._waiting:
            self._heard_at = time.monotonic()  # silence before a reply was owed does not count
        self._waiting.append(reply)
        if self._watch is None:
            self._watch = self._loop.call_later(_SILENCE_S, self._look)
        self._transport.write(_pack(words))
        return reply

    def close(self) -> None:
        """Take no more."""
        self._transport.abort()
        self._fail(RedisConnectionError("the connection was closed"))

    def data_received(self, data: bytes) -> None:
        """Hand out the replies that are whole."""
        self._heard_at = time.monotonic()
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not _MORE:
            waiting = self._waiting.popleft()
            if waiting.done():  # its caller was cancelled
                continue
            if isinstance(reply, RedisError):
                waiting.set_exception(reply)
            else:
                waiting.set_result(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        """Whoever waits does not learn what became of his command."""
        self._fail(RedisConnectionError(f"the connection was lost: {exc or 'closed by Redis'}"))

    def _look(self) -> None:
        """Give up a connection that owes a reply and is silent."""
        self._watch = None
        if not self._waiting:
            return
        left_s = self._heard_at + _SILENCE_S - time.monotonic()
        if left_s > 0:
            self._watch = self._loop.call_later(left_s, self._look)
            return
        self._transport.abort()
        self._fail(RedisTimeoutError(f"no reply within {_SILENCE_S:g} s"))

    def _fail(self, error: RedisError) -> None:
        self.is_open = False
        if self._watch is not None:
            self._watch.cancel()
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_exception(error)


def _error(text: str) -> RedisError:
    kind = _ERRORS.get(text.partition(" ")[0], ResponseError)
    return kind(text)
