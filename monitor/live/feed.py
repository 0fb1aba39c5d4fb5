"""One view, drawn again when something may have changed, for all who look at it: a page in, changes out."""

import asyncio
import secrets
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import structlog

from monitor.drawing.fragments import Drawing
from monitor.live.bell import Bell
from monitor.live.change import Change, change, whole
from shared.api import Refusal, Unreachable

log = structlog.get_logger(__name__)

FRESH_S: Final = 1.0
"""A drawing that is younger is shown to the next who comes; and so long a view rests between two drawings."""
REST_S: Final = 5.0
"""How long a view may go without being drawn although nothing was heard of."""
SETTLE_S: Final = 1.0
"""When a view is drawn once more after the bell: queues and leases follow what the log tells by moments."""
LINGER_S: Final = 15.0
"""How long a view is kept that nobody looks at."""
BEAT_S: Final = 5.0

_KEPT_CHANGES: Final = 20

Draw = Callable[[str | None], Awaitable[Drawing]]
"""Loads and draws the view, asking with this API key."""


@dataclass(frozen=True, slots=True)
class Patch:
    """What a browser does to come to `version`."""

    version: str
    change: Change


@dataclass(frozen=True, slots=True)
class Beat:
    """The view is true at this moment."""


@dataclass(frozen=True, slots=True)
class Stale:
    """The view could not be drawn; what is shown is as old as it is."""

    why: str


Told = Patch | Beat | Stale


class Feed:
    """Draws while somebody looks. `first` draws for a page, `follow` tells what changes after it.

    Nobody's drawing depends on who looks: it is drawn with the key of any of them.
    """

    def __init__(self, draw: Draw, bell: Bell) -> None:
        self._draw = draw
        self._bell = bell
        self._id = secrets.token_hex(4)
        self._number = 0
        self._drawing: Drawing | None = None
        self._drawn_at = 0.0
        self._fault: str | None = None
        self._changes: deque[tuple[int, Change]] = deque(maxlen=_KEPT_CHANGES)
        self._viewers: dict[object, str | None] = {}
        self._drawing_now = asyncio.Lock()
        self._moved = asyncio.Event()
        self._left_at = time.monotonic()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_idle(self) -> bool:
        """Whether nobody has looked for a while."""
        return not self._viewers and time.monotonic() - self._left_at > LINGER_S

    async def first(self, key: str | None) -> tuple[Drawing, str]:
        """The view as it is, and its version. Raises what the API raises."""
        self._left_at = time.monotonic()
        async with self._drawing_now:
            if self._drawing is None or self._fault or time.monotonic() - self._drawn_at > FRESH_S:
                return await self._draw_again(key), self._version
            return self._drawing, self._version

    async def follow(self, key: str | None, *, since: str, until: asyncio.Event) -> AsyncGenerator[Told]:
        """What changes after that version, until the event is set; `wake` makes it look at that at once."""
        viewer = object()
        self._viewers[viewer] = key
        if self._task is None:
            self._task = asyncio.create_task(self._draw_while_watched(), name="feed")
        try:
            async for told in self._told(since):
                if until.is_set():
                    return
                yield told
        finally:
            del self._viewers[viewer]
            self._left_at = time.monotonic()
            self._rest()

    def _rest(self) -> None:
        """Draw no more when nobody looks: the next who does begins it again."""
        if not self._viewers and self._task is not None:
            self._task.cancel()
            self._task = None

    def wake(self) -> None:
        """Tell everybody who follows that something is to be looked at."""
        self._tell()

    async def stop(self) -> None:
        """End the drawing; those who follow are told nothing more."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    @property
    def _version(self) -> str:
        return f"{self._id}.{self._number}"

    async def _told(self, since: str) -> AsyncGenerator[Told]:
        seen = self._number_of(since)
        while True:
            moved = self._moved
            if self._drawing is not None and seen != self._number:
                yield Patch(self._version, self._change_since(seen, self._drawing))
                seen = self._number
            yield Stale(self._fault) if self._fault is not None else Beat()
            with suppress(TimeoutError):
                async with asyncio.timeout(BEAT_S):
                    await moved.wait()

    def _number_of(self, version: str) -> int | None:
        """Which of our versions it is; None where it is another feed's: a former one's, or a replica's."""
        id_, _, number = version.partition(".")
        if id_ != self._id or not (number.isascii() and number.isdigit()) or len(number) > len("1000000000"):
            return None
        return int(number)

    def _change_since(self, seen: int | None, drawing: Drawing) -> Change:
        missed = [made for number, made in self._changes if seen is not None and number > seen]
        if seen is None or len(missed) != self._number - seen:
            return whole(drawing)
        pieces: dict[str, str] = {}
        rows: dict[str, tuple[str, ...]] = {}
        title = ""
        for one in missed:
            pieces |= one.set
            rows |= {name: tuple(keys) for name, keys in one.rows.items()}
            title = one.title or title
        return Change(set=pieces, rows=rows, title=title)

    async def _draw_while_watched(self) -> None:
        drawn_at_count = self._bell.count
        while True:
            rung = self._bell.count
            if self._viewers:
                async with self._drawing_now:
                    if time.monotonic() - self._drawn_at >= FRESH_S / 2:
                        await self._draw_for(list(dict.fromkeys(self._viewers.values())))
            await asyncio.sleep(FRESH_S / 2)
            limit_s = REST_S if rung == drawn_at_count else SETTLE_S
            drawn_at_count = rung
            await self._bell.rings_after(rung, limit_s=limit_s)

    async def _draw_for(self, keys: Sequence[str | None]) -> None:
        """Draw with the first key; one that was revoked meanwhile must not blind the others."""
        before = self._fault
        try:
            await self._draw_with(keys)
        finally:
            if self._fault != before:
                self._tell()

    async def _draw_with(self, keys: Sequence[str | None]) -> None:
        for key in keys:
            try:
                await self._draw_again(key)
            except (Refusal, Unreachable) as fault:
                self._fault = str(fault)
                if not isinstance(fault, Refusal) or fault.status != HTTPStatus.UNAUTHORIZED:
                    return
            except Exception:
                self._fault = "the view could not be drawn; the monitor's log says why"
                log.exception("feed.not_drawn")
                return
            else:
                return

    async def _draw_again(self, key: str | None) -> Drawing:
        drawing = await self._draw(key)
        self._drawn_at = time.monotonic()
        self._fault = None
        made = change(self._drawing, drawing) if self._drawing is not None else whole(drawing)
        self._drawing = drawing
        if made:
            self._number += 1
            self._changes.append((self._number, made))
            self._tell()
        return drawing

    def _tell(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()
