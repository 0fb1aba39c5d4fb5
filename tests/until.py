"""Waiting in tests: a condition in, its value out as soon as it holds."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def until(condition: Callable[[], Awaitable[T | None]], *, within: float = 10.0, what: str = "") -> T:
    """The first true value of the condition; AssertionError after `within` seconds, with the last one."""
    value: T | None = None
    try:
        async with asyncio.timeout(within):
            while True:
                value = await condition()
                if value:
                    return value
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"not within {within:g} s: {what or condition}; last: {value!r}") from None
