"""Mail out over SMTP: a finished Mail in, the relay's id for it out, or one of the errors in relay.py."""

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from time import monotonic
from types import TracebackType
from typing import Self

from email_service.breaker import Breaker
from email_service.connection import Connection
from email_service.mail import Mail
from email_service.relay import (
    Limits,
    RelayAddress,
    RelayBusy,
    RelayError,
    RelayRefusesUs,
    RelayUnavailable,
)
from shared.telemetry import Tracing, get_logger, names

_FOR_A_FREE_CONNECTION = timedelta(seconds=5)

log = get_logger()


class Mailer:
    """Sends mail through one relay, over a few connections that are used again; a context manager."""

    def __init__(self, relay: RelayAddress, *, tracing: Tracing, limits: Limits | None = None) -> None:
        self._relay = relay
        self._tracing = tracing
        self._limits = limits or Limits()
        self._breaker = Breaker()
        self._slots = asyncio.Semaphore(self._limits.connections)
        self._idle: dict[Connection, asyncio.TimerHandle] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        for connection in list(self._idle):
            self._retire(connection)

    async def send(self, mail: Mail) -> str:
        """Hand the mail to the relay; returns the relay's id for it.

        Raises a RelayError; all but DeliveryUnknown mean that the relay does not have it. Not idempotent.
        Cancelled within `limits.offer` the relay does not have it either; later nobody knows.
        """
        target = {names.SERVER_ADDRESS: self._relay.host, names.SERVER_PORT: self._relay.port}
        deadline = asyncio.get_running_loop().time() + self._limits.offer.total_seconds()
        with self._tracing.client(names.SMTP_SEND, target):
            async with self._slot(deadline):
                connection = await self._ready(mail, deadline)
                try:
                    return await connection.hand_over(mail)
                finally:
                    self._keep(connection)

    @asynccontextmanager
    async def _slot(self, deadline: float) -> AsyncGenerator[None]:
        try:
            async with asyncio.timeout_at(deadline):
                await self._slots.acquire()
        except TimeoutError:
            raise RelayBusy("each connection is in use", _FOR_A_FREE_CONNECTION) from None
        try:
            yield
        finally:
            self._slots.release()

    async def _ready(self, mail: Mail, deadline: float) -> Connection:
        """A connection on which the relay waits for this mail's content."""
        try:
            async with asyncio.timeout_at(deadline):
                return await self._on_a_used_one(mail) or await self._on_a_new_one(mail)
        except TimeoutError as late:
            limit_s = self._limits.offer.total_seconds()
            raise RelayUnavailable(f"relay was not ready for the content within {limit_s:g} s") from late
        except RelayRefusesUs as refused:
            log.error("mail.relay_refuses_us", relay=str(self._relay), reason=str(refused))  # noqa: TRY400 - no stack: a setting is wrong
            raise

    async def _on_a_used_one(self, mail: Mail) -> Connection | None:
        """None when none is left, or the relay has closed it meanwhile, which is no answer to this mail."""
        connection = self._take()
        if connection is None:
            return None
        try:
            await self._offer(connection, mail)
        except RelayError:
            if connection.is_open:
                raise
            return None
        return connection

    async def _on_a_new_one(self, mail: Mail) -> Connection:
        connection = await self._open()
        await self._offer(connection, mail)
        return connection

    async def _offer(self, connection: Connection, mail: Mail) -> None:
        try:
            await connection.offer(mail)
        except RelayUnavailable:
            connection.drop()
            raise
        except RelayError:
            await connection.reset()
            self._keep(connection)
            raise
        except BaseException:  # cancelled: who knows what the relay would answer next
            connection.drop()
            raise

    async def _open(self) -> Connection:
        rest = self._breaker.enter()
        if rest is not None:
            wait = rest * random.uniform(1, 2)  # noqa: S311 - jitter, no secret
            raise RelayBusy("it did not answer and is left alone", wait)
        began_at = monotonic()
        try:
            connection = await Connection.open(self._relay, self._limits)
        except RelayError:
            self._breaker.failed(began_at)
            raise
        self._breaker.passed()
        return connection

    def _take(self) -> Connection | None:
        while self._idle:
            connection, timer = self._idle.popitem()
            timer.cancel()
            if connection.is_open:
                return connection
        return None

    def _keep(self, connection: Connection) -> None:
        if connection.is_open:
            loop = asyncio.get_running_loop()
            idle_s = self._limits.idle.total_seconds()
            self._idle[connection] = loop.call_later(idle_s, self._retire, connection)

    def _retire(self, connection: Connection) -> None:
        self._idle.pop(connection).cancel()
        connection.leave()
