"""Accepted events out of the ledger, without their data: a filter in, a page of them out, newest first."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import (
    Column,
    ColumnElement,
    Row,
    Select,
    Text,
    Uuid,
    bindparam,
    cast,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.history.history_table import INSTANT
from gateway.history.job_filter import Cursor
from gateway.tables import events
from shared.clock import rfc3339
from shared.contracts import HANDLER, Envelope
from shared.telemetry import trace_id_of


class ListedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event without its data, and how far it has come."""

    envelope: Envelope
    accepted_at: datetime
    published_at: datetime | None
    settled_at: datetime | None

    @property
    def id(self) -> str:
        """The id of the event."""
        return self.envelope.id

    @property
    def handler(self) -> str | None:
        """The one handler that the event is for, where it is for one alone."""
        return self.envelope.attributes.get(HANDLER)

    @property
    def causation_id(self) -> str | None:
        """The event whose handling brought this one forth."""
        return self.envelope.attributes.get("causationid")

    def to_api(self) -> dict[str, Any]:
        """The event as lists of the REST API show it."""
        return {
            "id": self.id,
            "type": self.envelope.type,
            "source": self.envelope.source,
            "subject": self.envelope.attributes.get("subject"),
            "accepted_at": rfc3339(self.accepted_at),
            "published_at": rfc3339(self.published_at) if self.published_at else None,
            "settled_at": rfc3339(self.settled_at) if self.settled_at else None,
            "correlation_id": self.envelope.correlation_id,
            "causation_id": self.causation_id,
            "trace_id": trace_id_of(self.envelope.traceparent),
        }


class EventFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which events a list shows; None lets all pass. `until` is exclusive; both are about the acceptance."""

    type: str | None = None
    since: datetime | None = None
    until: datetime | None = None


LISTED: Sequence[ColumnElement[Any]] = (
    cast(events.c.id, Text).label("id"),
    events.c.type,
    events.c.source,
    cast(events.c.attributes, Text).label("attributes"),
    events.c.accepted_at,
    events.c.published_at,
    events.c.settled_at,
)
"""What is read of an event that is listed, for `listed`."""

_AT: Column[datetime] = events.c.accepted_at


async def event_page(
    engine: AsyncEngine, wanted: EventFilter, *, after: Cursor | None, limit: int
) -> tuple[list[ListedEvent], Cursor | None]:
    """A page of events, newest first, and where the next one begins; None when this is the last.

    ValueError when `after` is no place in this list.
    """
    async with engine.connect() as connection:
        found = [listed(row) for row in await connection.execute(_query(wanted, after, limit + 1))]
    if len(found) <= limit:
        return found, None
    return found[:limit], Cursor(found[limit - 1].accepted_at, found[limit - 1].id)


def listed(row: Row[Any]) -> ListedEvent:
    """The event of a row with the columns of LISTED."""
    return ListedEvent(
        envelope=Envelope(
            id=row.id, type=row.type, source=row.source, attributes=_decode(row.attributes), data=b""
        ),
        accepted_at=row.accepted_at,
        published_at=row.published_at,
        settled_at=row.settled_at,
    )


def _query(wanted: EventFilter, after: Cursor | None, most: int) -> Select[*tuple[Any, ...]]:
    newest_first = (_AT.desc(), events.c.id.desc())
    look = select(events.c.id).where(*_conditions(wanted, after)).order_by(*newest_first).limit(most)
    # Events of a type are in one index while they are open, and in another one from then on.
    looks = [look.where(_SETTLED.is_(None)), look.where(_SETTLED.is_not(None))] if wanted.type else [look]
    ids = union_all(*(select(one.subquery().c.id) for one in looks))
    return select(*LISTED).where(events.c.id.in_(ids)).order_by(*newest_first).limit(most)


def _conditions(wanted: EventFilter, after: Cursor | None) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.type is not None:
        found.append(events.c.type == wanted.type)
    if wanted.since is not None:
        found.append(wanted.since <= _AT)
    if wanted.until is not None:
        found.append(wanted.until > _AT)
    if after is not None:
        here = tuple_(bindparam(None, after.at, INSTANT), bindparam(None, after.job_id, Uuid(as_uuid=False)))
        found.append(tuple_(_AT, events.c.id) < here)
    return found


_SETTLED: Column[Any] = events.c.settled_at
_decode = msgspec.json.Decoder(dict[str, str]).decode
