"""What a job left in Redis of what it caused: its record in, envelopes and the group that they are out."""

import msgspec

from gateway.ledger.groups import GroupEntry
from shared.contracts import Envelope, decode_batch
from shared.errors import ContractError
from shared.jobs import JobRecord, decode_group
from shared.telemetry import get_logger

log = get_logger()


def caused_by(record: JobRecord) -> list[Envelope]:
    """The events that the job caused, as long as Redis keeps them."""
    if record.caused_events is None:
        return []
    try:
        return decode_batch(record.caused_events)
    except ContractError:
        log.exception("ledger.caused_unreadable", job_id=record.id)
        return []


def group_of(record: JobRecord) -> GroupEntry | None:
    """The group that the job opened, as long as Redis keeps it."""
    if record.group is None:
        return None
    try:
        opened = decode_group(record.group)
    except (ContractError, msgspec.MsgspecError):
        log.exception("ledger.group_unreadable", job_id=record.id)
        return None
    members = [envelope.id for envelope in caused_by(record)]
    if record.caused_events is not None and not members:
        return None  # nobody knows what it waits for
    return GroupEntry(opened.id, record.id, opened.then, members)
