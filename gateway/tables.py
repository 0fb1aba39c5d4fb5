"""The door's tables: users, and the ledger of events that is outbox and history in one."""

from sqlalchemy import Column, DateTime, LargeBinary, MetaData, Table, Text, Uuid, func
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
