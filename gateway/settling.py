"""What the ledger learns from jobs: what they caused or came from is entered, what is done settled."""

from collections.abc import Collection, Mapping
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway import ledger
from gateway.caused import caused_by
from shared.contracts import Envelope, decode_structured
from shared.errors import ContractError
from shared.jobs import FINAL, HandlerRecord, JobRecord, keys
from shared.telemetry import get_logger

log = get_logger()

_UNKNOWN: Final = text("""
    SELECT seen.id::text
    FROM unnest(CAST(:ids AS uuid[])) AS seen (id)
    WHERE NOT EXISTS (SELECT FROM gateway.events WHERE events.id = seen.id)
""")

_PUBLISHED: Final = text("""
    UPDATE gateway.events SET published_at = accepted_at WHERE id = ANY(CAST(:ids AS uuid[]))
""")

# Rows are locked in the order of their ids: two recorders that settle the same events never lock crosswise.
_SETTLE: Final = text("""
    WITH done AS (
        SELECT needed.event_id
        FROM unnest(CAST(:event_ids AS uuid[]), CAST(:job_ids AS text[])) AS needed (event_id, job_id)
        LEFT JOIN gateway.jobs ON jobs.id = needed.job_id AND jobs.state = ANY(CAST(:final AS text[]))
        GROUP BY needed.event_id
        HAVING bool_and(jobs.id IS NOT NULL)
    ), open AS (
        SELECT id FROM gateway.events
        WHERE id IN (SELECT event_id FROM done) AND settled_at IS NULL
        ORDER BY id FOR UPDATE
    )
    UPDATE gateway.events SET settled_at = now() FROM open WHERE events.id = open.id
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
        await connection.execute(_PUBLISHED, {"ids": [envelope.id for envelope in entered]})


async def settle(
    connection: AsyncConnection, events: Mapping[UUID, str], handlers: Mapping[str, HandlerRecord]
) -> None:
    """Settle those of the events (id -> type) whose jobs are all final; one without handlers stays open.

    Run it in a transaction that began after the states of the jobs were committed: of two recorders
    that each write the last job but one, the later then sees both.
    """
    needed = [
        (event_id, keys.job_id(handler.name, str(event_id)))
        for event_id, type_ in events.items()
        for handler in handlers.values()
        if handler.event_type == type_
    ]
    if needed:
        event_ids, job_ids = zip(*needed, strict=True)
        final = [state.value for state in FINAL]
        await connection.execute(
            _SETTLE, {"event_ids": list(event_ids), "job_ids": list(job_ids), "final": final}
        )


def _envelope(seen: JobRecord | Envelope) -> Envelope | None:
    if isinstance(seen, Envelope):
        return seen
    try:
        envelope = decode_structured(seen.event or b"")
    except ContractError as error:
        log.warning("ledger.event_unreadable", job_id=seen.id, error=str(error))
        return None
    return envelope if envelope.id == seen.event_id else None
