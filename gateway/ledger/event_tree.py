"""All that came of one request: an event in, its first cause and what that led to out."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.ledger.event_list import ListedEvent, listed

MOST: Final = 500
"""How many events of a tree are shown."""
COUNTED: Final = 10_000
"""How many are looked at: beyond that nobody counts what is left out."""

# A cause that is no UUID is none of ours. Whoever publishes may name any cause: even a circle ends, for it is
# gone up no further than this, and never back to its root on the way down. OFFSET 0 keeps the planner from
# reading all events at once: it cannot know how few each step finds.
_UP: Final = text("""
    WITH RECURSIVE up AS (
        SELECT id, attributes ->> 'causationid' AS cause, 0 AS height FROM gateway.events WHERE id = :id
        UNION ALL
        SELECT event.id, event.cause, height + 1
        FROM up CROSS JOIN LATERAL (
            SELECT id, attributes ->> 'causationid' AS cause FROM gateway.events
            WHERE id = CASE WHEN up.cause ~ :uuid THEN up.cause::uuid END OFFSET 0
        ) AS event
        WHERE height + 1 < :most
    )
    SELECT id::text FROM up ORDER BY height
""")
_DOWN: Final = text("""
    WITH RECURSIVE path AS (
        SELECT id, accepted_at, height - 1 AS depth
        FROM unnest(CAST(:path AS uuid[])) WITH ORDINALITY AS step (id, height) JOIN gateway.events USING (id)
    ), tree AS (
        SELECT id, accepted_at, depth FROM path WHERE depth = 0
        UNION ALL
        SELECT event.id, event.accepted_at, depth + 1
        FROM tree CROSS JOIN LATERAL (
            SELECT id, accepted_at FROM gateway.events
            WHERE attributes ->> 'causationid' = tree.id::text AND id <> :root OFFSET 0
        ) AS event
    ), shown AS (
        SELECT id, depth, count(*) OVER () AS size
        FROM (SELECT * FROM path UNION (SELECT * FROM tree LIMIT :counted)) AS looked_at
        ORDER BY id = ANY(CAST(:path AS uuid[])) DESC, depth, accepted_at, id LIMIT :most
    )
    SELECT event.*, depth, size FROM shown CROSS JOIN LATERAL (
        SELECT id::text, type, source, attributes::text, accepted_at, published_at, settled_at
        FROM gateway.events WHERE id = shown.id OFFSET 0
    ) AS event
""")
_UUID: Final = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"


class Grown(NamedTuple):
    """An event, and how many causes there are between it and the root."""

    event: ListedEvent
    depth: int


class EventTree(NamedTuple):
    """The events from the first cause down, each after its cause."""

    root: str
    events: Sequence[Grown]
    left_out: int
    """How many there are besides, of the first COUNTED."""


async def event_tree(engine: AsyncEngine, event_id: str) -> EventTree | None:
    """The tree that the event belongs to, with the event in it; None when nobody accepted one of this id."""
    async with engine.connect() as connection:
        path = await _causes_of(connection, event_id)
        if not path:
            return None
        rows = await _grown_from(connection, path)
    found = [Grown(listed(row), row.depth) for row in rows]
    found.sort(key=lambda one: (one.depth, one.event.accepted_at, one.event.id))
    return EventTree(path[-1], found, rows[0].size - len(rows))


async def _causes_of(connection: AsyncConnection, event_id: str) -> list[str]:
    """The event, its cause, the cause of that, up to the first; each once."""
    found = await connection.execute(_UP, {"id": event_id, "uuid": _UUID, "most": MOST})
    return list(dict.fromkeys(found.scalars()))


async def _grown_from(connection: AsyncConnection, path: Sequence[str]) -> Sequence[Row[Any]]:
    """The events below the end of the path; of too many the path, and those nearest to the root."""
    values = {"root": path[-1], "path": list(reversed(path)), "counted": COUNTED, "most": MOST}
    return (await connection.execute(_DOWN, values)).all()
