"""Replays in Postgres: an order in, its progress out; the next page to do, and what came of it.

A replay is one row. Who takes its next page moves `next_at` as far ahead as a lease; who has done it sets
`next_at` by the rate, unless another took over. So any gateway goes on where the last one stopped, no faster.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import Row, TextClause, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, TEXT
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.history.job_filter import Cursor, Filter
from gateway.operations.dead_set import count_dead
from shared.clock import rfc3339
from shared.contracts import new_id

LEASE: Final = timedelta(seconds=30)
"""How long a gateway may be silent in the middle of a page before another takes it."""

_COLUMNS: Final = """
    id::text, filter::text, rate, state, asked_by, matched, replayed, skipped::text, last_at, last_id,
    page, next_at, created_at, finished_at
"""
_INSERT: Final = text(f"""
    INSERT INTO gateway.replays (id, filter, rate, asked_by, matched)
    VALUES (:id, CAST(:filter AS json), :rate, :asked_by, :matched) RETURNING {_COLUMNS}
""")  # noqa: S608 - built from our own column names
_FIND: Final = text(f"SELECT {_COLUMNS} FROM gateway.replays WHERE id = :id")  # noqa: S608 - as above
_PAGE: Final = text(f"""
    SELECT {_COLUMNS} FROM gateway.replays
    WHERE CAST(:at AS timestamptz) IS NULL OR (created_at, id::text) < (:at, :after)
    ORDER BY created_at DESC, id DESC LIMIT :limit
""")  # noqa: S608 - as above
_CANCEL: Final = text(f"""
    UPDATE gateway.replays SET state = 'cancelled', finished_at = now()
    WHERE id = :id AND state = 'running' RETURNING {_COLUMNS}
""")  # noqa: S608 - as above
_TAKE: Final = text(f"""
    UPDATE gateway.replays SET next_at = now() + CAST(:lease AS interval) WHERE id = (
        SELECT id FROM gateway.replays WHERE state = 'running' AND next_at <= now()
        ORDER BY next_at LIMIT 1 FOR UPDATE SKIP LOCKED
    ) RETURNING {_COLUMNS}, now() AS taken_at
""")  # noqa: S608 - as above
_NEXT_DUE: Final = text("SELECT min(next_at) - now() FROM gateway.replays WHERE state = 'running'")
_BEGIN_PAGE: Final = text("""
    UPDATE gateway.replays SET page = :page, last_at = :last_at, last_id = :last_id
    WHERE id = :id AND next_at = :lease_until
""").bindparams(bindparam("page", type_=ARRAY(TEXT)))
_END_PAGE: Final = text("""
    UPDATE gateway.replays SET
        page = NULL, replayed = replayed + :replayed, skipped = CAST(:skipped AS jsonb), next_at = :next_at,
        finished_at = CASE WHEN state = 'running' AND :is_over THEN now() ELSE finished_at END,
        state = CASE WHEN state = 'running' AND :is_over THEN 'done' ELSE state END
    WHERE id = :id AND next_at = :lease_until
""")
_PUT_OFF: Final = text("""
    UPDATE gateway.replays SET next_at = now() + CAST(:pause AS interval)
    WHERE id = :id AND next_at = :lease_until
""")


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """A replay, and how far it has come."""

    id: str
    wanted: Filter
    rate: float
    """Jobs a second."""
    state: str
    """running, done or cancelled"""
    asked_by: str | None
    matched: int
    """How many dead jobs there were when it was asked for."""
    replayed: int
    skipped: dict[str, int]
    """Why jobs were not replayed -> how many."""
    last: Cursor | None
    """The last job of the page that was begun last."""
    page: Sequence[str] | None
    """The jobs of a page that was begun and not ended."""
    next_at: datetime
    created_at: datetime
    finished_at: datetime | None

    def to_api(self) -> dict[str, Any]:
        """The replay as the REST API shows it."""
        return {
            "id": self.id,
            "status": self.state,
            "filter": _shown(self.wanted),
            "rate": self.rate,
            "matched": self.matched,
            "replayed": self.replayed,
            "skipped": sum(self.skipped.values()),
            "skipped_because": self.skipped,
            "asked_by": self.asked_by,
            "created_at": rfc3339(self.created_at),
            "finished_at": rfc3339(self.finished_at) if self.finished_at else None,
        }


class Taken(NamedTuple):
    """A page of a replay to be done now; it is ours until `replay.next_at`."""

    replay: Replay
    at: datetime


class Replays:
    """All replays. Raises what SQLAlchemy raises when Postgres is away."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def begin(
        self, connection: AsyncConnection, wanted: Filter, *, rate: float, asked_by: str | None
    ) -> Replay:
        """Enter a replay of what is dead now, in the caller's transaction."""
        row = {
            "id": new_id(),
            "filter": msgspec.json.encode(wanted).decode(),
            "rate": rate,
            "asked_by": asked_by,
            "matched": (await count_dead(connection, wanted)).matched,
        }
        return _replay((await connection.execute(_INSERT, row)).one())

    async def find(self, replay_id: str) -> Replay | None:
        """The replay of this id (a UUID), or None."""
        row = await self._one(_FIND, id=UUID(replay_id))
        return _replay(row) if row else None

    async def page(self, *, after: Cursor | None, limit: int) -> tuple[Sequence[Replay], Cursor | None]:
        """Replays, newest first, and where the next page begins."""
        place = {"at": after.at if after else None, "after": after.job_id if after else ""}
        async with self._engine.connect() as connection:
            rows = (await connection.execute(_PAGE, {**place, "limit": limit + 1})).all()
        found = [_replay(row) for row in rows]
        if len(found) <= limit:
            return found, None
        return found[:limit], Cursor(found[limit - 1].created_at, found[limit - 1].id)

    async def cancel(self, replay_id: str) -> Replay | None:
        """Stop the replay, after the page that is being done; None when it does not run."""
        row = await self._one(_CANCEL, id=UUID(replay_id))
        return _replay(row) if row else None

    async def take(self) -> Taken | None:
        """The page that has been due for longest; None when none is due."""
        row = await self._one(_TAKE, lease=LEASE)
        return Taken(_replay(row), row.taken_at) if row else None

    async def until_due(self) -> timedelta | None:
        """How long until the next page is due; None when no replay runs."""
        async with self._engine.connect() as connection:
            return (await connection.execute(_NEXT_DUE)).scalar_one()

    async def begin_page(self, taken: Replay, jobs: Sequence[str], last: Cursor | None) -> bool:
        """Keep which jobs are to be queued now; False when another gateway has taken the replay over."""
        place = {"last_at": last.at, "last_id": last.job_id} if last else {"last_at": None, "last_id": None}
        return await self._change(_BEGIN_PAGE, taken, page=list(jobs), **place)

    async def end_page(
        self, taken: Replay, *, replayed: int, skipped: Mapping[str, int], next_at: datetime, is_over: bool
    ) -> bool:
        """Keep what came of the page; False when another gateway has taken the replay over.

        `replayed` are those of this page, `skipped` those of the whole replay.
        """
        counted = {"replayed": replayed, "skipped": msgspec.json.encode(skipped).decode()}
        return await self._change(_END_PAGE, taken, **counted, next_at=next_at, is_over=is_over)

    async def put_off(self, taken: Replay, pause: timedelta) -> bool:
        """Let the same page be done again after the pause."""
        return await self._change(_PUT_OFF, taken, pause=pause)

    async def _change(self, statement: TextClause, taken: Replay, **values: object) -> bool:
        """Change the replay, as long as the lease is the one that was taken."""
        whole = {"id": UUID(taken.id), "lease_until": taken.next_at, **values}
        async with self._engine.begin() as connection:
            return (await connection.execute(statement, whole)).rowcount == 1

    async def _one(self, statement: TextClause, **values: object) -> Row[Any] | None:
        async with self._engine.begin() as connection:
            return (await connection.execute(statement, values)).one_or_none()


def _shown(wanted: Filter) -> dict[str, Any]:
    """The filter as it was given; instants as they are everywhere."""
    given: dict[str, Any] = msgspec.to_builtins(wanted) or {"all": True}
    instants = {"since": wanted.since, "until": wanted.until}
    return given | {name: rfc3339(instant) for name, instant in instants.items() if instant}


def _replay(row: Row[Any]) -> Replay:
    return Replay(
        id=row.id,
        wanted=_filter.decode(row.filter),
        rate=row.rate,
        state=row.state,
        asked_by=row.asked_by,
        matched=row.matched,
        replayed=row.replayed,
        skipped=_skipped.decode(row.skipped),
        last=Cursor(row.last_at, row.last_id) if row.last_at else None,
        page=row.page,
        next_at=row.next_at,
        created_at=row.created_at,
        finished_at=row.finished_at,
    )


_filter = msgspec.json.Decoder(Filter)
_skipped = msgspec.json.Decoder(dict[str, int])
