"""A service within another program, as the gateway is: started when Redis answers, drained at the end."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Final, Self

from shared.bus.redis_streams import UNAVAILABLE
from shared.service import Host, Service
from shared.telemetry import Metrics, Tracing, get_logger

_TRY_AGAIN: Final = timedelta(seconds=1)


class Hosted:
    """An async context manager around `make()`, the service; a service that did not start is made anew.

    The program goes on when Redis is away at its start. A wrong setting or a fault in the service's own
    resources does not pass by itself: it ends the wait and is raised at the exit.
    """

    def __init__(self, make: Callable[[], Service], *, tracing: Tracing, metrics: Metrics) -> None:
        self._make = make
        self._host = Host(tracing, metrics)
        self._ending = asyncio.Event()
        self._work: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._work = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ending.set()
        if self._work is not None:
            await self._work

    async def _run(self) -> None:
        while not self._ending.is_set():
            service = self._make()
            try:
                await service.start_within(self._host)
            except UNAVAILABLE as error:
                get_logger().warning("service.waits", service=service.name, why=str(error))
                await self._pause()
                continue
            try:
                await self._ending.wait()
            finally:
                await service.stop()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(_TRY_AGAIN.total_seconds()):
                await self._ending.wait()
        except TimeoutError:
            return
