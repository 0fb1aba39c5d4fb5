"""Groups in Postgres: events that belong together in, the one that follows when all are settled out, once.

Nobody has to be told that a member has settled: whoever looks at a group marks those that have, and completes
it when none is left. The recorder looks at once, GroupSweep again and again.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.ledger import ledger
from shared.clock import rfc3339
from shared.contracts import Envelope, decode_structured, encode_structured
from shared.jobs import GROUP_FAILED, GROUP_SIZE

LONGEST_PAUSE: Final = timedelta(minutes=1)
"""How long an open group is not looked at, at most."""

# The members of a group that is known already are not touched: it may be completed.
_OPEN: Final = text("""
    WITH opened AS (
        INSERT INTO gateway.groups (id, opened_by, members, then_event)
        SELECT * FROM unnest(
            CAST(:ids AS uuid[]), CAST(:openers AS text[]), CAST(:sizes AS int[]), CAST(:thens AS bytea[])
        ) AS fresh (id, opened_by, members, then_event)
        ORDER BY id
        ON CONFLICT (id) DO NOTHING
        RETURNING id
    )
    INSERT INTO gateway.group_members (group_id, event_id)
    SELECT member.group_id, member.event_id
    FROM unnest(CAST(:group_ids AS uuid[]), CAST(:event_ids AS uuid[])) AS member (group_id, event_id)
    JOIN opened ON opened.id = member.group_id
""")

# An event that is not in the ledger was settled and removed. Who finds a row locked need not wait: the other
# marks it just now.
_MARK: Final = """
    WITH ended AS (
        SELECT member.group_id, member.event_id
        FROM gateway.group_members AS member LEFT JOIN gateway.events ON events.id = member.event_id
        WHERE member.failed IS NULL AND member.{key} = ANY(CAST(:ids AS uuid[]))
            AND (events.id IS NULL OR events.settled_at IS NOT NULL)
        FOR UPDATE OF member SKIP LOCKED
    )
    UPDATE gateway.group_members AS member
    SET failed = EXISTS (
        SELECT FROM gateway.jobs WHERE jobs.event_id = member.event_id AND jobs.state <> 'succeeded'
    )
    FROM ended WHERE member.group_id = ended.group_id AND member.event_id = ended.event_id
    RETURNING member.group_id::text
"""
_MARK_EVENTS: Final = text(_MARK.format(key="event_id"))
_MARK_GROUPS: Final = text(_MARK.format(key="group_id"))

_COMPLETE: Final = text("""
    SELECT id::text, members, then_event FROM gateway.groups
    WHERE id = ANY(CAST(:ids AS uuid[])) AND completed_at IS NULL AND NOT EXISTS (
        SELECT FROM gateway.group_members AS member
        WHERE member.group_id = groups.id AND member.failed IS NULL
    )
    ORDER BY id FOR UPDATE SKIP LOCKED
""")
_FAILED: Final = text("""
    SELECT group_id::text AS id, count(*) AS failed FROM gateway.group_members
    WHERE group_id = ANY(CAST(:ids AS uuid[])) AND failed GROUP BY group_id
""")
_COMPLETED: Final = text(
    "UPDATE gateway.groups SET completed_at = now() WHERE id = ANY(CAST(:ids AS uuid[]))"
)

# The older a group, the rarer it is looked at; several gateways share the work.
_DUE: Final = text("""
    WITH due AS (
        SELECT id FROM gateway.groups WHERE completed_at IS NULL AND check_at <= now()
        ORDER BY check_at LIMIT :page FOR UPDATE SKIP LOCKED
    )
    UPDATE gateway.groups
    SET check_at = now() + least(greatest((now() - created_at) / 10, CAST(:every AS interval)), :longest)
    FROM due WHERE groups.id = due.id
    RETURNING groups.id::text
""")

_SHOW: Final = text("""
    SELECT opened_by, members, then_event, created_at, completed_at,
        count(member.failed) AS settled, count(*) FILTER (WHERE member.failed) AS failed
    FROM gateway.groups LEFT JOIN gateway.group_members AS member ON member.group_id = groups.id
    WHERE groups.id = :id GROUP BY groups.id
""")


class GroupEntry(NamedTuple):
    """A group to be opened: the ids of its events, which are in the ledger, and what follows them."""

    id: str
    opened_by: str | None
    then: Envelope
    members: Sequence[str]


class GroupState(NamedTuple):
    """How far a group has come."""

    opened_by: str | None
    members: int
    settled: int
    failed: int
    then: Envelope
    created_at: datetime
    completed_at: datetime | None


async def open_groups(connection: AsyncConnection, groups: Sequence[GroupEntry]) -> None:
    """Enter the groups in the transaction of their events; one that is known already stays as it is."""
    if not groups:
        return
    members = [(group.id, event_id) for group in groups for event_id in group.members]
    values: dict[str, Any] = {
        "ids": [group.id for group in groups],
        "openers": [group.opened_by for group in groups],
        "sizes": [len(group.members) for group in groups],
        "thens": [encode_structured(group.then) for group in groups],
        "group_ids": [group_id for group_id, _ in members],
        "event_ids": [event_id for _, event_id in members],
    }
    await connection.execute(_OPEN, values)


async def mark(
    connection: AsyncConnection, *, events: Iterable[Any] = (), groups: Iterable[str] = ()
) -> set[str]:
    """Mark the members that are settled, of these events or groups; returns the groups that have some."""
    touched: set[str] = set()
    for statement, ids in ((_MARK_EVENTS, list(events)), (_MARK_GROUPS, list(groups))):
        if ids:
            touched.update((await connection.execute(statement, {"ids": ids})).scalars())
    return touched


async def complete(connection: AsyncConnection, groups: Collection[str]) -> list[Envelope]:
    """Complete those of the groups whose members are all marked; returns what was entered to follow them.

    Run it in a transaction that began after the marks were committed: of two that each marked the last
    member but one, the later then sees both. The relay's sweeper publishes what nobody hands over.
    """
    if not groups:
        return []
    done = (await connection.execute(_COMPLETE, {"ids": list(groups)})).all()
    if not done:
        return []
    ids = {"ids": [group.id for group in done]}
    failed = {row.id: row.failed for row in await connection.execute(_FAILED, ids)}
    now = datetime.now(UTC)
    following = [
        _following(decode_structured(group.then_event), group.members, failed.get(group.id, 0), now)
        for group in done
    ]
    await connection.execute(_COMPLETED, ids)
    return await ledger.write(connection, following)


async def due(connection: AsyncConnection, *, every: timedelta, page: int) -> list[str]:
    """Open groups that should be looked at now; nobody else gets them for at least `every`."""
    values = {"every": every, "page": page, "longest": LONGEST_PAUSE}
    return [*(await connection.execute(_DUE, values)).scalars()]


async def find(connection: AsyncConnection, group_id: str) -> GroupState | None:
    """How far the group has come; None when there is none of this id."""
    row = (await connection.execute(_SHOW, {"id": group_id})).one_or_none()
    if row is None:
        return None
    return GroupState(
        opened_by=row.opened_by,
        members=row.members,
        settled=row.settled,
        failed=row.failed,
        then=decode_structured(row.then_event),
        created_at=row.created_at,
        completed_at=row.completed_at,
    )


def _following(then: Envelope, size: int, failed: int, now: datetime) -> Envelope:
    """The event that was kept, as it happens now."""
    attributes = {
        **then.attributes,
        "time": rfc3339(now),
        GROUP_SIZE: str(size),
        GROUP_FAILED: str(failed),
    }
    return msgspec.structs.replace(then, attributes=attributes)
