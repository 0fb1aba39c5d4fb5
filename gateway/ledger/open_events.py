"""The ledger's open events, published and not settled: a cursor in, the page after it out."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.ledger.ledger import envelope_of
from shared.contracts import Envelope
from shared.jobs import FINAL, HandlerRecord, keys

# Read through the index events_open, in its order.
_PAGE: Final = text("""
    SELECT id, type, attributes ->> 'handler' AS only_handler, place, published_at FROM gateway.events
    WHERE settled_at IS NULL AND published_at < now() - CAST(:age AS interval)
        AND (published_at, id) > (CAST(:published_at AS timestamptz), CAST(:id AS uuid))
    ORDER BY published_at, id LIMIT :limit
""")
_ENDED: Final = text("""
    SELECT id FROM gateway.jobs WHERE id = ANY(CAST(:ids AS text[])) AND state = ANY(CAST(:final AS text[]))
""")
_EVENTS: Final = text("""
    SELECT id::text, type, source, attributes::text, data FROM gateway.events
    WHERE id = ANY(CAST(:ids AS uuid[]))
""")


class Cursor(NamedTuple):
    """The event that the last page ended with."""

    published_at: datetime
    id: UUID


BEGINNING: Final = Cursor(datetime(1, 1, 1, tzinfo=UTC), UUID(int=0))


class OpenEvent(NamedTuple):
    """An event that some handler may still be owed to."""

    id: UUID
    type: str
    only_handler: str | None
    """The handler that a direct job is for; None when it is every handler of the type."""
    place: str | None
    """Where it was published to; None when that is not known."""
    published_at: datetime

    def handlers(self, registered: Mapping[str, HandlerRecord]) -> list[HandlerRecord]:
        """Those whose job it is."""
        if self.only_handler is not None:
            only = registered.get(self.only_handler)
            return [only] if only is not None else []
        return [handler for handler in registered.values() if handler.event_type == self.type]

    def job_id(self, handler: HandlerRecord) -> str:
        """The id of that handler's job."""
        return keys.job_id(handler.name, str(self.id))


async def page(connection: AsyncConnection, after: Cursor, *, age: timedelta, limit: int) -> list[OpenEvent]:
    """Events published longer than `age` ago, in the order of their publishing."""
    wanted = {"published_at": after.published_at, "id": after.id, "age": age, "limit": limit}
    return [OpenEvent(*row) for row in await connection.execute(_PAGE, wanted)]


async def ended(connection: AsyncConnection, job_ids: Sequence[str]) -> set[str]:
    """Those of the jobs that have ended, as the history knows."""
    final = [state.value for state in FINAL]
    return set((await connection.execute(_ENDED, {"ids": job_ids, "final": final})).scalars())


async def envelopes(connection: AsyncConnection, ids: Sequence[UUID]) -> dict[UUID, Envelope]:
    """The events themselves, by id."""
    rows = await connection.execute(_EVENTS, {"ids": ids})
    return {UUID(row.id): envelope_of(row) for row in rows}
