"""The ledger: checked events in, committed events out. What `accept` returns will reach its bus.

Events without business rows that arrive together share one INSERT and one COMMIT; events with business rows
are written in the transaction of those rows; inside `one_commit` both join that. After the commit they are
handed to the relay in memory; nobody waits for the bus.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, Self

import asyncpg
import msgspec
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.ledger.away import away
from gateway.ledger.faults import Faults
from gateway.ledger.known import Accepted, IdTaken, answers_to, unless_taken
from gateway.ledger.later import held_until
from gateway.ledger.line import Line
from gateway.ledger.one_commit import OneCommit, joined, one_commit
from shared.bus import Coalescer
from shared.contracts import Envelope
from shared.telemetry import Span, Tracing, names

HandOver = Callable[[Sequence[Envelope]], None]

_LARGEST_COMMIT: Final = 500
_REFUSALS: Final = (asyncpg.PostgresError, asyncpg.InterfaceError)

# Sorted by id: two batches with the same ids, each waiting for a row of the other, would be a deadlock.
_INSERT: Final = """
    INSERT INTO gateway.events (id, type, source, attributes, data, held_until)
    SELECT id, type, source, attributes::jsonb, data, held_until
    FROM unnest(
        $1::uuid[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::timestamptz[]
    ) AS event (id, type, source, attributes, data, held_until)
    ORDER BY id
    ON CONFLICT (id) DO NOTHING
    RETURNING id::text
"""
_SELECT: Final = text("""
    SELECT id::text, type, source, attributes::text, data, accepted_at, published_at, settled_at
    FROM gateway.events WHERE id = ANY(CAST(:ids AS uuid[]))
""")
_CAUSED: Final = text("""
    SELECT id::text, type FROM gateway.events WHERE attributes ->> 'causationid' = :id
    ORDER BY accepted_at, id LIMIT 1000
""")
# Sorted as in settling: two that change the same events never lock crosswise.
_REOPEN: Final = text("""
    WITH settled AS (
        SELECT id FROM gateway.events
        WHERE id = ANY(CAST(:ids AS uuid[])) AND settled_at IS NOT NULL ORDER BY id FOR UPDATE
    )
    UPDATE gateway.events SET settled_at = NULL FROM settled WHERE events.id = settled.id
""")
_CHECK: Final = text("SELECT FROM gateway.events LIMIT 1")
_COMMIT: Final = {
    names.DB_SYSTEM_NAME: "postgresql",
    names.DB_OPERATION_NAME: "COMMIT",
    names.DB_COLLECTION_NAME: "gateway.events",
    names.DB_QUERY_SUMMARY: names.LEDGER_COMMIT,
}


class Entry(NamedTuple):
    """An event of the ledger, and how far it has come."""

    envelope: Envelope
    accepted_at: datetime
    published_at: datetime | None
    settled_at: datetime | None


class Transaction:
    """A transaction in which events are committed together with the rows that they tell of."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.connection = connection
        self.written: list[Envelope] = []

    async def write(self, *envelopes: Envelope) -> None:
        """Enter the events; nothing is published unless the transaction commits."""
        self.written += await write(self.connection, envelopes)

    async def accept(self, envelopes: Sequence[Envelope]) -> list[Accepted]:
        """Enter the events, as Ledger.accept does; IdTaken when one comes with other content."""
        before = len(self.written)
        await self.write(*envelopes)
        new = {envelope.id for envelope in self.written[before:]}
        known = [envelope.id for envelope in envelopes if envelope.id not in new]
        rows = (await self.connection.execute(_SELECT, {"ids": known})).fetchall() if known else ()
        stored = {entry.envelope.id: entry.envelope for entry in map(_entry, rows)}
        return [unless_taken(answer) for answer in answers_to(envelopes, new, stored)]


async def write(connection: AsyncConnection, envelopes: Sequence[Envelope]) -> list[Envelope]:
    """Enter the events in the caller's transaction; returns the new ones, those known before left out.

    The relay's sweeper publishes them within seconds; `Ledger.transaction` hands them over at once.
    """
    if not envelopes:
        return []
    result = await connection.exec_driver_sql(_INSERT, _columns(envelopes))
    new = {row[0] for row in result}
    return [envelope for envelope in envelopes if envelope.id in new]


class Ledger:
    """The events of the system, in Postgres; an async context manager."""

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        hand_over: HandOver,
        faults: Faults | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        self._engine = engine
        self._tracing = tracing or Tracing()
        self._reads = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._hand_over = hand_over
        self._faults = faults or Faults()
        self._line = Line(engine)
        self._commit = Coalescer(self._commit_together, most=_LARGEST_COMMIT)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._commit.idle()
        await self._line.close()

    async def accept(self, envelopes: Sequence[Envelope]) -> list[Accepted]:
        """Commit the events, all or none; they are on disk when this returns.

        The same id again is harmless. IdTaken when it comes with other content; an outage raises what
        asyncpg, SQLAlchemy or asyncio raise. The events may be committed then: repeat with the same ids.
        """
        if len(envelopes) == 1 and joined() is None:
            # One commit for many requests: each one's span is the time that it waited for it.
            with self._span():
                answer = await self._commit(envelopes[0])
            if isinstance(answer, Exception):
                raise answer
            return [answer]
        async with self.transaction() as transaction:
            return await transaction.accept(envelopes)

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Transaction]:
        """A transaction for rows and their events; after its commit the relay has the events.

        Inside `one_commit` it is a savepoint of that.
        """
        whole = joined()
        if whole is not None:
            part = Transaction(whole.connection)
            async with whole.connection.begin_nested():
                yield part
            whole.written += part.written
            return
        with self._span():
            async with self._engine.begin() as connection:
                transaction = Transaction(connection)
                yield transaction
        if transaction.written:
            self._faults.after_commit()
            self._hand_over(transaction.written)

    def one_commit(self) -> AbstractAsyncContextManager[OneCommit]:
        """One transaction for all that this task accepts from here on, and for what the caller adds."""
        return one_commit(self._engine, hand_over=self._hand_over, faults=self._faults)

    async def find(self, id_: str) -> Entry | None:
        """The event of this id (a UUID), or None."""
        return next(iter(await self.find_all([id_])), None)

    async def find_all(self, ids: Sequence[str]) -> list[Entry]:
        """Those of these events that were accepted, in any order."""
        return [_entry(row) for row in await self._rows_of(ids)] if ids else []

    async def caused_by(self, id_: str) -> list[dict[str, str]]:
        """`id` and `type` of the accepted events that name this one as their cause; the first 1,000."""
        async with self._reads.connect() as connection:
            rows = await connection.execute(_CAUSED, {"id": id_})
            return [{"id": row.id, "type": row.type} for row in rows]

    async def reopen(self, ids: Sequence[str]) -> None:
        """These events are about to have jobs again that have not ended: they count as settled no more."""
        if ids:
            async with self._engine.begin() as connection:
                await connection.execute(_REOPEN, {"ids": list(ids)})

    async def check(self) -> None:
        """Return when the ledger can be read; raises what SQLAlchemy raises when not."""
        async with self._reads.connect() as connection:
            await connection.execute(_CHECK)

    def _span(self) -> Span:
        return self._tracing.client(names.LEDGER_COMMIT, _COMMIT)

    async def _commit_together(self, envelopes: list[Envelope]) -> Sequence[Accepted | Exception]:
        """One commit for all; a row that Postgres refuses is found by committing one by one."""
        try:
            return await self._commit_rows(envelopes)
        except _REFUSALS as error:
            if away(error) or len(envelopes) == 1:
                raise
        return [await self._commit_alone(envelope) for envelope in envelopes]

    async def _commit_alone(self, envelope: Envelope) -> Accepted | Exception:
        try:
            return (await self._commit_rows([envelope]))[0]
        except (*_REFUSALS, OSError, TimeoutError) as error:
            return error

    async def _commit_rows(self, envelopes: Sequence[Envelope]) -> list[Accepted | IdTaken]:
        rows = await self._line.fetch(_INSERT, *_columns(envelopes))
        new = {row[0] for row in rows}
        if new:
            self._faults.after_commit()
            fresh = dict(reversed([(one.id, one) for one in envelopes if one.id in new]))
            self._hand_over([*fresh.values()])
        if len(new) == len(envelopes):
            return [Accepted(envelope, is_duplicate=False) for envelope in envelopes]
        known = list({envelope.id for envelope in envelopes})
        stored = {one.envelope.id: one.envelope for one in map(_entry, await self._rows_of(known))}
        return answers_to(envelopes, new, stored)

    async def _rows_of(self, ids: Sequence[str]) -> Sequence[Row[Any]]:
        async with self._reads.connect() as connection:
            return (await connection.execute(_SELECT, {"ids": ids})).fetchall()


def _columns(envelopes: Sequence[Envelope]) -> tuple[list[Any], ...]:
    now = datetime.now(UTC)
    return (
        [envelope.id for envelope in envelopes],
        [envelope.type for envelope in envelopes],
        [envelope.source for envelope in envelopes],
        [_encode(envelope.attributes).decode() for envelope in envelopes],
        [envelope.data for envelope in envelopes],
        [held_until(envelope, now) for envelope in envelopes],
    )


def envelope_of(row: Row[Any]) -> Envelope:
    """The envelope in a row with id and attributes as text."""
    return Envelope(
        id=row.id,
        type=row.type,
        source=row.source,
        attributes=_attributes.decode(row.attributes),
        data=row.data,
    )


def _entry(row: Row[Any]) -> Entry:
    return Entry(envelope_of(row), row.accepted_at, row.published_at, row.settled_at)


_encode = msgspec.json.Encoder().encode
_attributes = msgspec.json.Decoder(dict[str, str])
