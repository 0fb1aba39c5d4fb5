"""The tables of schedules, which the scheduler owns and migrates, and which the gateway reads and edits."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Interval,
    LargeBinary,
    MetaData,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData(schema="scheduler")

_INSTANT = DateTime(timezone=True)

schedules = Table(
    "schedules",
    metadata,
    Column("name", Text, primary_key=True),
    Column("cron", Text),
    Column("every", Interval),
    Column("timezone", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("data", JSONB, nullable=False),
    Column("misfire", Text, nullable=False),
    Column("catch_up", Interval, nullable=False),
    Column("overlap", Text, nullable=False),
    Column("jitter", Interval, nullable=False),
    Column("starts_at", _INSTANT),
    Column("ends_at", _INSTANT),
    Column("paused_at", _INSTANT),
    Column("note", Text),  # why it is paused
    Column("next_at", _INSTANT),  # the next tick; NULL when there is none any more
    Column("fires_at", _INSTANT),  # the next tick with its jitter
    Column("version", BigInteger, nullable=False),  # counts edits: the ETag
    Column("created_at", _INSTANT, nullable=False),
    Column("updated_at", _INSTANT, nullable=False),
)

ticks = Table(
    "ticks",
    metadata,
    Column("schedule", Text, primary_key=True),
    Column("tick", _INSTANT, primary_key=True),
    Column("type", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("fired", Boolean, nullable=False),
    Column("due_at", _INSTANT, nullable=False),  # the tick with its jitter
    Column("decided_at", _INSTANT, nullable=False),
    Column("event_id", Uuid(as_uuid=False)),  # NULL when it was skipped
    Column("published_at", _INSTANT),
    Column("open", Boolean, nullable=False),  # its jobs are watched, and have not ended
    Column("detail", Text),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Uuid(as_uuid=False), primary_key=True),
    Column("type", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("attributes", JSONB, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("schedule", Text, nullable=False),
    Column("tick", _INSTANT, nullable=False),
    Column("published_at", _INSTANT),
    Column("place", Text),  # where it lies on its bus
)

removed = Table(
    "removed",  # names that were removed by an operator: no file brings them back
    metadata,
    Column("name", Text, primary_key=True),
    Column("removed_at", _INSTANT, nullable=False),
)
