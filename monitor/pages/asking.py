"""Questions to the gateway that a page can do without: the answer, or None and why, out."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Generic, TypeVar

from shared.api import GatewayApi, Query, Refusal, Unreachable

T = TypeVar("T")

LONGEST_PAGE: Final = 200
_PAGES_MOST: Final = 5
_OURS: Final = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}


@dataclass(frozen=True, slots=True)
class Told(Generic[T]):
    """What is known; or why it is not."""

    value: T | None
    fault: str = ""


async def if_known(answer: Awaitable[Any], read: Callable[[Any], T]) -> Told[T]:
    """The answer as `read` reads it.

    Where the database is away, or the gateway is older than this question, the rest of the page is all the
    more worth seeing. A key that may not ask is refused as ever.
    """
    try:
        return Told(read(await answer))
    except Unreachable as away:
        return Told(None, str(away))
    except Refusal as refusal:
        if refusal.status in _OURS:
            raise
        return Told(None, str(refusal))


async def all_of(api: GatewayApi, path: str, query: Query | None = None) -> tuple[list[dict[str, Any]], bool]:
    """The items of a list, page by page up to a thousand; and whether these are all."""
    items: list[dict[str, Any]] = []
    cursor: str | None = None
    for _ in range(_PAGES_MOST):
        page = await api.get(path, {**(query or {}), "limit": LONGEST_PAGE, "cursor": cursor}, quiet=True)
        items += page["items"]
        cursor = page["next"]
        if cursor is None:
            return items, True
    return items, False
