"""The door's tables: users, files, and the ledger of events that is outbox and history in one."""

from sqlalchemy import BigInteger, Column, DateTime, LargeBinary, MetaData, Table, Text, Uuid, func
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData(schema="gateway")

events = Table(
    "events",
    metadata,
    Column("id", Uuid(as_uuid=False), primary_key=True),
    Column("type", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("attributes", JSONB, nullable=False),  # every other CloudEvents attribute, as text
    Column("data", LargeBinary, nullable=False),
    Column("accepted_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("published_at", DateTime(timezone=True)),  # on its bus for certain
    Column("settled_at", DateTime(timezone=True)),  # all its jobs are final
    Column("held_until", DateTime(timezone=True)),  # not to be published before; null is at once
    Column("place", Text),  # where it lies on its bus; of an event that somebody else published, NULL
)

users = Table(
    "users",
    metadata,
    Column("id", Uuid(as_uuid=False), primary_key=True),
    Column("name", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column(
        "email_key", Text, nullable=False, unique=True
    ),  # how two spellings of one address are told to be one
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("event_id", Uuid(as_uuid=False), nullable=False),
)

files = Table(
    "files",
    metadata,
    Column("id", Uuid(as_uuid=False), primary_key=True),  # UUIDv7: sorted by it is sorted by time
    Column("name", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("status", Text, nullable=False, server_default="uploaded"),  # then processed or rejected
    Column("profile", JSONB),
    Column("artifacts", JSONB),
    Column("reason", Text),
    Column("uploaded_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("finished_at", DateTime(timezone=True)),
    Column("event_id", Uuid(as_uuid=False), nullable=False),
)
