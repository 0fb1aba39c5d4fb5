"""What the history keeps of a job: its record in Redis in, a row that Postgres takes out."""

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from gateway.history.fingerprints import fingerprint_of
from shared.jobs import FINAL, Change, JobRecord, State
from shared.telemetry import get_logger

log = get_logger()

HistoryRow = dict[str, Any]

COLUMNS: Final = {
    "id": "text",
    "handler": "text",
    "service": "text",
    "event_id": "uuid",
    "event_type": "text",
    "state": "text",
    "attempt": "int",
    "max_attempts": "int",
    "worker": "text",
    "queued_at": "timestamptz",
    "started_at": "timestamptz",
    "finished_at": "timestamptz",
    "due_at": "timestamptz",
    "progress": "json",
    "result": "json",
    "error": "json",
    "attempts": "json",
    "caused": "json",
    "reason": "text",
    "trace_id": "text",
    "event": "bytea",
    "raw": "bytea",
    "channel": "text",
    "position": "bigint",
    "error_type": "text",
    "failure": "text",
    "fingerprint": "text",
    "frame": "text",
}
"""The columns of gateway.jobs that the recorder writes, with their types."""

_DETAILS: Final = (
    "worker",
    "progress",
    "result",
    "error",
    "attempts",
    "caused",
    "reason",
    "event",
    "raw",
    "channel",
    "error_type",
    "failure",
    "frame",
)


def row_of(record: JobRecord, position: int) -> HistoryRow:
    """The row of a job as Redis has it; a field that Postgres would refuse is left out and logged."""
    is_dead = record.state == State.DEAD
    row: HistoryRow = {
        "id": record.id,
        "handler": record.handler,
        "service": record.service,
        "event_id": as_uuid(record.event_id),
        "event_type": record.event_type,
        "state": record.state,
        "attempt": record.attempt,
        "max_attempts": record.max_attempts,
        "queued_at": record.queued_at or record.started_at or datetime.now(UTC),
        "started_at": record.started_at,
        "finished_at": record.finished_at or _end_of(record.state, position),
        "due_at": record.due_at,
        "trace_id": record.trace_id,
        "position": position,
        **_failure_of(record),
        **_fingerprint_of(record),
    }
    details: dict[str, Any] = {
        "worker": record.worker,
        "progress": record.progress,
        "result": record.result,
        "error": record.error,
        "attempts": record.attempts or None,
        "caused": record.caused or None,
        "reason": record.reason,
        # The events of all other jobs are in the ledger.
        "event": record.event if is_dead else None,
        "raw": record.raw,
        "channel": record.channel,
    }
    for name, value in details.items():
        try:
            row[name] = _KEPT[name](value) if value is not None else None
        except (ValueError, Base64Error, msgspec.MsgspecError, RecursionError) as error:
            log.warning("history.field_left_out", job_id=record.id, field=name, error=str(error))
            row[name] = None
    return row


def row_of_change(change: Change, event_type: str, position: int) -> HistoryRow:
    """What the log alone tells of a job that has expired in Redis before it was recorded."""
    return dict.fromkeys(COLUMNS) | {
        "id": change.job_id,
        "handler": change.handler,
        "service": change.handler.partition(".")[0],
        "event_id": as_uuid(change.event_id),
        "event_type": event_type,
        "state": change.state,
        "attempt": change.attempt,
        "max_attempts": change.attempt,
        "queued_at": instant_of(position),
        "finished_at": _end_of(change.state, position),
        "position": position,
    }


def without_details(row: HistoryRow) -> HistoryRow:
    """The row with what makes its state known, and nothing that a handler wrote."""
    return row | dict.fromkeys(_DETAILS)


def position_of(entry_id: str) -> int:
    """A log entry's id as one number of the same order: 43 bits of milliseconds, 20 of sequence."""
    milliseconds, _, sequence = entry_id.partition("-")
    return (int(milliseconds) << 20) | min(int(sequence), 0xFFFFF)


def instant_of(position: int) -> datetime:
    """When the log entry at that position was written."""
    return datetime.fromtimestamp((position >> 20) / 1000, UTC)


def as_uuid(event_id: str) -> UUID | None:
    """The id as a UUID; None for bytes that were no event and so have none."""
    try:
        return UUID(event_id)
    except ValueError:
        return None


def _end_of(state: str, position: int) -> datetime | None:
    """When the log told of the job's end; None for a job that has not ended."""
    return instant_of(position) if state in FINAL else None


def _failure_of(record: JobRecord) -> HistoryRow:
    """What the job failed with, as a search looks for it: `Type: message` as in a log, then what it was."""
    error: Any = record.error if isinstance(record.error, dict) else {}
    type_, message = str(error.get("type", "")), str(error.get("message", ""))
    if not (error or record.reason):
        return {"error_type": None, "failure": None}
    lines = [f"{type_}: {message}" if error else "", record.reason or "", record.handler, record.event_type]
    failure = "\n".join(line for line in lines if line)
    # Postgres has no text with a NUL; the error itself, which is JSON, keeps it.
    return {"error_type": type_.replace("\0", "") or None, "failure": failure.replace("\0", "")}


def _fingerprint_of(record: JobRecord) -> HistoryRow:
    """What dead jobs are grouped by; nothing of any other job."""
    if record.state != State.DEAD:
        return {"fingerprint": None, "frame": None}
    found = fingerprint_of(record.handler, record.error, record.reason)
    return {"fingerprint": found.digits, "frame": found.frame}


def _text(value: str) -> str:
    if "\0" in value:
        raise ValueError("holds a NUL, which Postgres has no text for")
    return value


def _base64(value: str) -> bytes:
    return b64decode(value, validate=True)


def _json(value: object) -> str:
    return _encode(value).decode()


def _json_text(value: msgspec.Raw) -> str:
    """The same bytes, once they are known to be JSON."""
    msgspec.json.decode(value)
    return bytes(value).decode()


def _json_bytes(value: bytes) -> bytes:
    msgspec.json.decode(value)
    return value


_encode = msgspec.json.Encoder().encode

_KEPT: Final[dict[str, Callable[[Any], Any]]] = {
    "worker": _text,
    "progress": _json,
    "result": _json_text,
    "error": _json,
    "attempts": _json,
    "caused": _json,
    "reason": _text,
    "event": _json_bytes,
    "raw": _base64,
    "channel": _text,
}
"""How what others wrote is taken into a row; ValueError and its like for what Postgres would refuse."""
