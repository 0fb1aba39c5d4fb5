"""What the email service owns in Postgres: one row for each mail that was handed to the relay."""

from sqlalchemy import Column, DateTime, Integer, MetaData, Table, Text

metadata = MetaData(schema="email")

messages = Table(
    "messages",
    metadata,
    Column("job_id", Text, primary_key=True),
    Column("event_id", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("recipient_sha256", Text, nullable=False),  # of the lower-cased address, which itself is not kept
    Column("state", Text, nullable=False),  # sending, sent, bounced, failed
    Column("attempt", Integer, nullable=False),  # the job's; starts anew when a dead job is replayed
    Column("run", Integer, nullable=False),  # counted here, upwards: an older run cannot write over a newer
    Column("found", Text),  # the state in which the latest run found the row; NULL in the first
    Column("relay_id", Text),
    Column("reason", Text),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column("sent_at", DateTime(timezone=True)),
)
