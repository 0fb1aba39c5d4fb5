"""What hardly changes in, the same answer for a while out: a page is drawn more often than it must ask."""

import math
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from shared.api import GatewayApi

T = TypeVar("T")


class Kept(Generic[T]):
    """One answer of one view, asked for again when it is older than `for_s`; a fault is not kept."""

    def __init__(self, ask: Callable[[GatewayApi], Awaitable[T]], *, for_s: float) -> None:
        self._ask = ask
        self._for_s = for_s
        self._answers: list[T] = []
        self._asked_at = -math.inf

    async def get(self, api: GatewayApi) -> T:
        """The answer."""
        if not self._answers or time.monotonic() - self._asked_at >= self._for_s:
            self._answers = [await self._ask(api)]
            self._asked_at = time.monotonic()
        return self._answers[0]
