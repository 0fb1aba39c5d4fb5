"""The relay: committed events in, events on their bus and marked as published out.

Two ways lead there. The short one goes through memory: what was committed here a moment ago. The long one is
the sweeper, which looks in Postgres for what nobody published: a gateway died, or a bus was away. An event
has the same id on each try, and the bus drops the second copy.
"""

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple, Protocol, Self

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, TEXT
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.ledger.away import away
from gateway.ledger.ending import end
from gateway.ledger.later import held_until
from gateway.ledger.ledger import envelope_of
from gateway.ledger.line import Line
from shared.bus import Coalescer
from shared.contracts import HANDLER, Envelope
from shared.errors import BusUnavailable
from shared.telemetry import get_logger

_BATCH: Final = 500
_MARKED_BATCHES: Final = 20
_SLOWEST_SWEEP: Final = timedelta(seconds=2)
_PUBLISH_LIMIT: Final = timedelta(seconds=4)  # below the 5 s that Postgres lets a transaction idle

_MARK: Final = """
    UPDATE gateway.events SET published_at = now(), place = there.place
    FROM unnest($1::uuid[], $2::text[]) AS there (id, place)
    WHERE events.id = there.id AND published_at IS NULL
"""
# Losing a mark costs one more publish, which the bus drops; waiting for the disk would cost much more.
_MARK_SESSION: Final = "SET synchronous_commit TO off"
_UNPUBLISHED: Final = text("""
    SELECT id::text, type, source, attributes::text, data FROM gateway.events
    WHERE published_at IS NULL AND COALESCE(held_until, accepted_at) < now() - CAST(:age AS interval)
        AND COALESCE('job of ' || (attributes ->> 'handler'), type) <> ALL(:skipped)
    ORDER BY COALESCE(held_until, accepted_at) LIMIT :limit FOR UPDATE SKIP LOCKED
""").bindparams(bindparam("skipped", type_=ARRAY(TEXT)))


class Publishes(Protocol):
    """What the relay needs of a bus; shared.bus.Bus is one."""

    async def publish(self, envelopes: Sequence[Envelope]) -> Mapping[str, str]:
        """Where each id lies that is on its bus for certain."""
        ...


class _Page(NamedTuple):
    found: int
    tried: list[Envelope]
    published: Mapping[str, str]


class Relay:
    """Publishes what the ledger has committed; an async context manager.

    `backlog` bounds the memory: what is above it waits for the sweeper. `flush_limit` is how long leaving may
    take to publish what is in memory; what is left then, another gateway or the next start takes.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        bus: Publishes,
        *,
        backlog: int,
        sweep_every: timedelta,
        flush_limit: timedelta,
    ) -> None:
        self._engine = engine
        self._bus = bus
        self._backlog = backlog
        self._sweep_every = sweep_every
        self._flush_limit = flush_limit
        self._waiting: deque[Envelope] = deque()
        self._in_hand: set[str] = set()
        self._stuck: set[str] = set()
        self._arrived = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._tasks: list[asyncio.Task[None]] = []
        self._line = Line(engine, session=_MARK_SESSION)
        self._mark = Coalescer(self._mark_together, most=_MARKED_BATCHES)
        self._marks: set[asyncio.Future[None]] = set()
        self._log = get_logger()

    async def __aenter__(self) -> Self:
        self._tasks = [
            asyncio.create_task(self._publish_for_ever(), name="relay"),
            asyncio.create_task(self._sweep_for_ever(), name="sweeper"),
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Publish what is in memory, then stop."""
        publishing, sweeping = self._tasks
        await end(sweeping)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._flush_limit.total_seconds()):
                await self._idle.wait()
                await self._mark.idle()
        await end(publishing)
        await self._line.close()
        if self._waiting:
            self._log.warning("relay.left_behind", events=len(self._waiting))

    def take(self, envelopes: Sequence[Envelope]) -> None:
        """These are committed; publish them soon. Never blocks: above the backlog they are the sweeper's.

        So are those that the ledger holds until later.
        """
        room = self._backlog - len(self._waiting)
        now = datetime.now(UTC)
        for envelope in envelopes[: max(room, 0)]:
            if _lane(envelope) not in self._stuck and held_until(envelope, now) is None:
                self._in_hand.add(envelope.id)
                self._waiting.append(envelope)
        if self._waiting:
            self._idle.clear()
            self._arrived.set()

    @property
    def waiting(self) -> int:
        """How many events are in memory and on no bus yet."""
        return len(self._waiting)

    @property
    def stuck_types(self) -> frozenset[str]:
        """The types whose bus takes nothing at the moment, `job of <handler>` for a handler's own queue.

        The sweeper tries them again.
        """
        return frozenset(self._stuck)

    async def sweep(self) -> int:
        """Publish what nobody published, page by page; returns how many it was.

        A type of which a page got nothing onto its bus is left out of the rest, so that one dead bus does not
        hold up the other.
        """
        skipped: set[str] = set()
        total = 0
        while True:
            page = await self._sweep_page(skipped)
            total += len(page.published)
            worked = {_lane(envelope) for envelope in page.tried if envelope.id in page.published}
            failed = {_lane(envelope) for envelope in page.tried} - worked
            skipped |= failed
            self._note(failed=failed, worked=worked)
            if page.found < _BATCH or not (page.published or failed):
                return total

    async def _publish_for_ever(self) -> None:
        while True:
            await self._arrived.wait()
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), _BATCH))]
            published = await self._publish(batch)
            self._settle(batch, published)
            if not self._waiting:
                self._arrived.clear()
                self._idle.set()

    def _settle(self, batch: Sequence[Envelope], published: Mapping[str, str]) -> None:
        """Mark what is on its bus; leave the rest to the sweeper, which tries for as long as it takes."""
        worked = {_lane(envelope) for envelope in batch if envelope.id in published}
        self._note(failed={_lane(envelope) for envelope in batch} - worked, worked=worked)
        self._in_hand.difference_update(envelope.id for envelope in batch if envelope.id not in published)
        if not published:
            return
        marked = self._mark(published)
        self._marks.add(marked)

        def forget(done: "asyncio.Future[None]") -> None:
            self._marks.discard(done)
            self._in_hand.difference_update(published)
            if not done.cancelled() and done.exception() is not None:
                self._log.warning("relay.not_marked", events=len(published), error=repr(done.exception()))

        marked.add_done_callback(forget)

    async def _publish(self, batch: Sequence[Envelope]) -> Mapping[str, str]:
        """Each type by itself: a bus that hangs holds up only what is routed to it."""
        by_type: dict[str, list[Envelope]] = {}
        for envelope in batch:
            by_type.setdefault(_lane(envelope), []).append(envelope)
        parts = await asyncio.gather(*(self._publish_type(part) for part in by_type.values()))
        return {id_: place for part in parts for id_, place in part.items()}

    async def _publish_type(self, part: Sequence[Envelope]) -> Mapping[str, str]:
        try:
            async with asyncio.timeout(_PUBLISH_LIMIT.total_seconds()):
                return await self._bus.publish(part)
        except (BusUnavailable, OSError, TimeoutError):
            return {}
        except Exception:  # noqa: BLE001 - a loop: the events stay unpublished and are tried again
            self._log.exception("relay.publish_failed", events=len(part))
            return {}

    async def _mark_together(self, groups: list[Mapping[str, str]]) -> Sequence[None]:
        places = [place for group in groups for place in group.values()]
        await self._line.fetch(_MARK, [id_ for group in groups for id_ in group], places)
        return [None] * len(groups)

    async def _sweep_for_ever(self) -> None:
        pause = self._sweep_every
        postgres_is_away = False
        while True:
            await asyncio.sleep(pause.total_seconds() * random.uniform(0.75, 1.25))  # noqa: S311 - jitter, no secret
            try:
                swept = await self.sweep()
            except Exception as error:  # noqa: BLE001 - a loop: the next round tries again
                if away(error) is None:
                    self._log.exception("relay.sweep_failed")
                elif not postgres_is_away:
                    self._log.warning("relay.postgres_away", error=repr(error))
                postgres_is_away = True
                pause = _longer(pause)
                continue
            if postgres_is_away:
                self._log.info("relay.postgres_back")
            postgres_is_away = False
            pause = _longer(pause) if self._stuck else self._sweep_every
            if swept:
                self._log.info("relay.swept", events=swept)

    async def _sweep_page(self, skipped: set[str]) -> "_Page":
        async with self._engine.begin() as connection:
            parameters = {"age": self._sweep_every, "skipped": sorted(skipped), "limit": _BATCH}
            rows = (await connection.execute(_UNPUBLISHED, parameters)).fetchall()
            found = [envelope_of(row) for row in rows]
            mine = [envelope for envelope in found if envelope.id not in self._in_hand]
            published = await self._publish(mine) if mine else {}
            await _mark_in(connection, published)
        return _Page(len(found), mine, published)

    def _note(self, *, failed: set[str], worked: set[str]) -> None:
        """Log what changed, and only that."""
        stopped, back = failed - self._stuck, worked & self._stuck
        self._stuck = (self._stuck | failed) - worked
        if stopped:
            self._log.warning("relay.bus_away", types=sorted(stopped))
        if back:
            self._log.info("relay.bus_back", types=sorted(back))


def _lane(envelope: Envelope) -> str:
    """What is held up together: the events of a type, or one handler's own jobs; as the sweeper asks."""
    handler = envelope.attributes.get(HANDLER)
    return envelope.type if handler is None else f"job of {handler}"


async def _mark_in(connection: AsyncConnection, published: Mapping[str, str]) -> None:
    if published:
        await connection.exec_driver_sql(_MARK, (list(published), list(published.values())))


def _longer(pause: timedelta) -> timedelta:
    return max(pause, min(pause * 2, _SLOWEST_SWEEP))
