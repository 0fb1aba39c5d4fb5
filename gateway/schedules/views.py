"""Schedules and their ticks as the API shows them: entries in, documents out."""

from datetime import datetime
from itertools import islice
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field

from gateway.schedules.plain import plain
from shared.clock import rfc3339
from shared.schedules import Definition, Entry, Fire, TickEntry, due_of, zone_of

MOST_FIRES: Final = 100
PREVIEWED: Final = 5


class TickView(BaseModel):
    """A tick that was decided: it fired, or was skipped, and why."""

    tick: str = Field(description="The instant that was due; of a run by hand, the one of the request.")
    decision: Literal["fired", "skipped"]
    cause: str = Field(
        description="Of what fired: on_time, late, by_hand; of what was skipped: missed, superseded, "
        "too_late, paused, overlap, invalid.",
        examples=["on_time"],
    )
    type: str
    due_at: str = Field(description="The tick, and its jitter.")
    decided_at: str
    late_s: float = Field(description="How long after due_at it was decided.")
    event_id: str | None
    published_at: str | None = Field(description="When a bus had its event; null while that waits.")
    detail: str | None


class ScheduleView(Definition):
    """A schedule."""

    id: str
    plain: str = Field(
        description="When it fires, in plain English.", examples=["At 09:00 on Monday, Europe/Warsaw"]
    )
    status: Literal["active", "paused", "ended"]
    paused_at: str | None
    note: str | None = Field(description="Why it is paused.")
    next_at: str | None = Field(description="The next tick.")
    last: TickView | None = Field(description="The latest tick.")
    created_at: str
    updated_at: str


class FireView(BaseModel):
    """A tick to come."""

    at: str = Field(examples=["2026-03-29T01:00:00.000000Z"])
    local: str = Field(
        description="The same instant in the time zone.", examples=["2026-03-29T03:00:00+02:00"]
    )
    fires_at: str = Field(description="The tick, and its jitter.")
    dst: Literal["skipped", "repeated"] | None = Field(
        description="skipped: the local time that was meant does not exist; repeated: it exists twice."
    )
    meant: str | None = Field(
        description="The local time that does not exist.", examples=["2026-03-29T02:30:00"]
    )


class Preview(BaseModel):
    """Ticks to come, whether the schedule is paused or not."""

    plain: str = Field(
        description="When it fires, in plain English.", examples=["At 09:00 on Monday, Europe/Warsaw"]
    )
    items: list[FireView]
    next: None


def schedule_view(entry: Entry, last: TickEntry | None) -> dict[str, Any]:
    """The schedule, and its latest tick."""
    return {
        "id": entry.definition.name,
        **entry.definition.model_dump(mode="json"),
        "starts_at": _text(entry.definition.starts_at),
        "ends_at": _text(entry.definition.ends_at),
        "plain": plain(entry.definition),
        "status": entry.status,
        "paused_at": _text(entry.paused_at),
        "note": entry.note,
        "next_at": _text(entry.next_at),
        "last": tick_view(last) if last else None,
        "created_at": rfc3339(entry.created_at),
        "updated_at": rfc3339(entry.updated_at),
    }


def tick_view(tick: TickEntry) -> dict[str, Any]:
    """One line of the ledger."""
    return {
        "tick": rfc3339(tick.tick),
        "decision": "fired" if tick.fired else "skipped",
        "cause": tick.cause,
        "type": tick.type,
        "due_at": rfc3339(tick.due_at),
        "decided_at": rfc3339(tick.decided_at),
        "late_s": round((tick.decided_at - tick.due_at).total_seconds(), 3),
        "event_id": tick.event_id,
        "published_at": _text(tick.published_at),
        "detail": tick.detail,
    }


def preview_of(definition: Definition, begin: datetime, count: int) -> dict[str, Any]:
    """The first ticks after that instant."""
    fires = islice(definition.timing.after(begin), count)
    return {
        "plain": plain(definition),
        "items": [_fire_view(definition, fire) for fire in fires],
        "next": None,
    }


def _fire_view(definition: Definition, fire: Fire) -> dict[str, Any]:
    return {
        "at": rfc3339(fire.at),
        "local": _local(fire.at, zone_of(definition.timezone)),
        "fires_at": rfc3339(due_of(definition, fire.at).fires_at),
        "dst": fire.dst,
        "meant": fire.meant.isoformat() if fire.meant else None,
    }


def _local(instant: datetime, zone: ZoneInfo) -> str:
    return instant.astimezone(zone).isoformat()


def _text(instant: datetime | None) -> str | None:
    return rfc3339(instant) if instant else None
