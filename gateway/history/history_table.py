"""The table gateway.jobs: what the history reads, column by column."""

from datetime import datetime
from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ColumnElement,
    DateTime,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    Uuid,
    func,
    literal_column,
)

INSTANT: Final = DateTime(timezone=True)

JOBS: Final = Table(
    "jobs",
    MetaData(schema="gateway"),
    Column("id", Text, primary_key=True),
    Column("handler", Text),
    Column("service", Text),
    Column("event_id", Uuid),
    Column("event_type", Text),
    Column("state", Text),
    Column("attempt", Integer),
    Column("max_attempts", Integer),
    Column("worker", Text),
    Column("queued_at", INSTANT),
    Column("started_at", INSTANT),
    Column("finished_at", INSTANT),
    Column("due_at", INSTANT),
    Column("progress", JSON),
    Column("result", JSON),
    Column("error", JSON),
    Column("attempts", JSON),
    Column("caused", JSON),
    Column("reason", Text),
    Column("trace_id", Text),
    Column("event", LargeBinary),
    Column("raw", LargeBinary),
    Column("channel", Text),
    Column("position", BigInteger),
    Column("error_type", Text),  # beside `error`, since JSON in a query fails on \u0000
    Column("failure", Text),  # what a search looks through; null for a job that has not failed
    Column("fingerprint", Text),  # of a dead job; null where it was recorded before there were any
    Column("frame", Text),
)

FINGERPRINT: Final[ColumnElement[str]] = func.coalesce(
    JOBS.c.fingerprint,
    literal_column("left(md5(jobs.handler || ':' || coalesce(jobs.error_type, '')), 16)", Text),
)
"""What dead jobs are grouped by: where there is no fingerprint, handler and type. So says an index."""

QUEUED_UTC: Final[ColumnElement[datetime]] = literal_column("timezone('UTC', jobs.queued_at)", DateTime())
"""queued_at as the indexes of the jobs of one handler, service, worker or error have it."""
