"""What the ledger learns from jobs: what they caused or came from is entered, what is done settled."""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.ledger import ledger
from gateway.ledger.caused import caused_by
from shared.contracts import Envelope, decode_structured
from shared.errors import ContractError
from shared.jobs import FINAL, HandlerRecord, JobRecord
from shared.telemetry import get_logger

log = get_logger()

MEMORY: Final = timedelta(days=30)
"""How long the jobs of a handler that is not registered any more are waited for."""

_UNKNOWN: Final = text("""
    SELECT seen.id::text
    FROM unnest(CAST(:ids AS uuid[])) AS seen (id)
    WHERE NOT EXISTS (SELECT FROM gateway.events WHERE events.id = seen.id)
""")

_PUBLISHED: Final = text("""
    UPDATE gateway.events SET published_at = accepted_at, place = there.place
    FROM unnest(CAST(:ids AS uuid[]), CAST(:places AS text[])) AS there (id, place) WHERE events.id = there.id
""")

# Rows are locked in the order of their ids: two recorders that settle the same events never lock crosswise.
# Needed are the jobs of all handlers of the event's type: those that are registered, and those that were seen
# lately, for a Redis that came back empty knows a handler only once its service runs again. The event of
# a direct job needs that one.
_SETTLE: Final = text("""
    WITH open AS (
        SELECT id, type, attributes ->> 'handler' AS direct_to FROM gateway.events
        WHERE id = ANY(CAST(:event_ids AS uuid[])) AND settled_at IS NULL
    ), known AS (
        SELECT name, event_type
        FROM unnest(CAST(:names AS text[]), CAST(:event_types AS text[])) AS registered (name, event_type)
        UNION
        SELECT name, event_type FROM gateway.handlers WHERE seen_at > now() - CAST(:memory AS interval)
    ), needed AS (
        SELECT open.id, known.name AS handler FROM open JOIN known ON known.event_type = open.type
        WHERE open.direct_to IS NULL
        UNION ALL
        SELECT id, direct_to FROM open WHERE direct_to IS NOT NULL
    ), done AS (
        SELECT needed.id FROM needed
        LEFT JOIN gateway.jobs
            ON jobs.id = (needed.handler || ':' || needed.id::text) COLLATE "C"
            AND jobs.state = ANY(CAST(:final AS text[]))
        GROUP BY needed.id
        HAVING bool_and(jobs.id IS NOT NULL)
    ), locked AS (
        SELECT id FROM gateway.events
        WHERE id IN (SELECT id FROM done) AND settled_at IS NULL
        ORDER BY id FOR UPDATE
    )
    UPDATE gateway.events SET settled_at = now() FROM locked WHERE events.id = locked.id
""")

_SETTLE_UNHANDLED: Final = text("""
    WITH locked AS (
        SELECT id FROM gateway.events
        WHERE id = ANY(CAST(:event_ids AS uuid[])) AND settled_at IS NULL AND type NOT IN (
            SELECT event_type FROM gateway.handlers WHERE seen_at > now() - CAST(:memory AS interval)
        )
        ORDER BY id FOR UPDATE
    )
    UPDATE gateway.events SET settled_at = now() FROM locked WHERE events.id = locked.id
""")

# Only now and then: a row that is written each round is a dead row each round.
_REMEMBER: Final = text("""
    INSERT INTO gateway.handlers AS known (name, event_type)
    SELECT name, event_type
    FROM unnest(CAST(:names AS text[]), CAST(:event_types AS text[])) AS registered (name, event_type)
    ORDER BY name
    ON CONFLICT (name) DO UPDATE SET event_type = excluded.event_type, seen_at = now()
    WHERE known.event_type <> excluded.event_type OR known.seen_at < now() - interval '1 minute'
""")


async def enter_unknown(connection: AsyncConnection, records: Collection[JobRecord]) -> None:
    """Enter what the ledger does not have of the events of these jobs, and of those that they caused.

    All as published: the former came from a bus, the latter were on theirs before their job was finished.
    """
    events: dict[str, JobRecord | Envelope] = {
        record.event_id: record for record in records if record.event is not None
    }
    events |= {envelope.id: envelope for record in records for envelope in caused_by(record)}
    if not events:
        return
    unknown = (await connection.execute(_UNKNOWN, {"ids": list(events)})).scalars().all()
    envelopes = [envelope for id_ in unknown if (envelope := _envelope(events[id_])) is not None]
    if envelopes:
        entered = await ledger.write(connection, envelopes)
        places = {id_: place for record in records for id_, place in (record.caused_places or {}).items()}
        ids = [envelope.id for envelope in entered]
        await connection.execute(_PUBLISHED, {"ids": ids, "places": [places.get(id_) for id_ in ids]})


async def settle(
    connection: AsyncConnection, events: Collection[UUID], handlers: Mapping[str, HandlerRecord]
) -> None:
    """Settle those of the events whose jobs are all final; one without handlers stays open.

    An event for one handler has its one job, whoever else handles its type.

    Run it in a transaction that began after the states of the jobs were committed: of two recorders
    that each write the last job but one, the later then sees both.
    """
    if events:
        final = [state.value for state in FINAL]
        values = {"event_ids": list(events), "final": final, "memory": MEMORY, **_names(handlers)}
        await connection.execute(_SETTLE, values)


async def settle_unhandled(connection: AsyncConnection, event_ids: Sequence[UUID]) -> None:
    """Settle those of the events whose type no handler was seen for lately.

    Call it only with events that have no handler in a registry which can be trusted.
    """
    if event_ids:
        await connection.execute(_SETTLE_UNHANDLED, {"event_ids": list(event_ids), "memory": MEMORY})


async def remember(connection: AsyncConnection, handlers: Mapping[str, HandlerRecord]) -> None:
    """Note who handles what: should the registry be lost, no event of theirs is settled without them."""
    await connection.execute(_REMEMBER, _names(handlers))


def _names(handlers: Mapping[str, HandlerRecord]) -> dict[str, list[str]]:
    return {
        "names": [handler.name for handler in handlers.values()],
        "event_types": [handler.event_type for handler in handlers.values()],
    }


def _envelope(seen: JobRecord | Envelope) -> Envelope | None:
    if isinstance(seen, Envelope):
        return seen
    try:
        envelope = decode_structured(seen.event or b"")
    except ContractError as error:
        log.warning("ledger.event_unreadable", job_id=seen.id, error=str(error))
        return None
    return envelope if envelope.id == seen.event_id else None
