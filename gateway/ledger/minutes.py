"""The figures of each minute: what became of jobs in, counts and histograms by handler and version out.

What is counted is what the row of a job learnt from a write, in the same commit: a view that is recorded
twice, or by two recorders at once, counts once. This is done for each job: it is written to be fast.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, Protocol
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.history.durations import histogram_of
from gateway.history.history_rows import HistoryRow, instant_of
from shared.clock import from_rfc3339
from shared.jobs import JobRecord, State

_ADD: Final = text("""
    INSERT INTO gateway.job_minutes AS known (minute, handler, version, succeeded, dead, retried, waits, runs)
    SELECT to_timestamp(minute * 60), handler, version, succeeded, dead, retried,
        waits::numeric, runs::numeric
    FROM unnest(
        CAST(:minutes AS bigint[]), CAST(:handlers AS text[]), CAST(:versions AS text[]),
        CAST(:succeeded AS integer[]), CAST(:dead AS integer[]), CAST(:retried AS integer[]),
        CAST(:waits AS text[]), CAST(:runs AS text[])
    ) AS seen (minute, handler, version, succeeded, dead, retried, waits, runs)
    ON CONFLICT (minute, handler, version) DO UPDATE SET
        succeeded = known.succeeded + excluded.succeeded,
        dead = known.dead + excluded.dead,
        retried = known.retried + excluded.retried,
        waits = known.waits + excluded.waits,
        runs = known.runs + excluded.runs
""")
_SUCCEEDED: Final = State.SUCCEEDED.value
_DEAD: Final = State.DEAD.value
_UUID7: Final = 7
_VERSION_MAX: Final = 100

Former = tuple[datetime | None, int | None]
"""What the row of a job told before it was written: when the job ended, and how many attempts had failed."""


class Seen(Protocol):
    """A job as it was seen: the row that it was written as, and its record."""

    row: HistoryRow
    record: JobRecord | None


class Tally:
    """The figures of a minute, so far."""

    __slots__ = ("dead", "retried", "runs", "succeeded", "waits")

    def __init__(self) -> None:
        self.succeeded = self.dead = self.retried = self.waits = self.runs = 0


Minutes = dict[tuple[int, str, str], Tally]
"""By minute since 1970, handler, and version of the worker."""


async def add(connection: AsyncConnection, minutes: Minutes) -> None:
    """Add the figures to those in Postgres. The last statement of its transaction: nobody waits for more.

    Sorted: recorders that add to the same minutes never lock crosswise.
    """
    if not minutes:
        return
    keys = sorted(minutes)
    tallies = [minutes[key] for key in keys]
    values = {
        "minutes": [minute for minute, _, _ in keys],
        "handlers": [handler for _, handler, _ in keys],
        "versions": [version for _, _, version in keys],
        "succeeded": [one.succeeded for one in tallies],
        "dead": [one.dead for one in tallies],
        "retried": [one.retried for one in tallies],
        "waits": [str(one.waits) for one in tallies],
        "runs": [str(one.runs) for one in tallies],
    }
    await connection.execute(_ADD, values)


def tally(views: Iterable[Seen], formers: Mapping[str, Former]) -> Minutes:
    """The figures by minute, handler and version of the worker, of what these views were the first to tell.

    A view without a former was not written, for its job was seen later already.
    """
    minutes: Minutes = {}
    for view in views:
        row, record = view.row, view.record
        former = formers.get(row["id"])
        if former is None:
            continue
        former_end, former_failures = former
        state, ended_at = row["state"], row["finished_at"]
        # An end is known by its instant, failed attempts by their number: they only grow.
        has_ended = (state in (_SUCCEEDED, _DEAD)) and (former_end is None or former_end < ended_at)
        if row["attempts"] is not None and record is not None:
            failed = record.attempts[former_failures or 0 :]
            # The attempt that the job died of is told by its end.
            _count_retried(minutes, failed[:-1] if has_ended and state == _DEAD else failed, row)
        if has_ended:
            _count_end(minutes, row, record)
    return minutes


def _count_retried(minutes: Minutes, failed: Iterable[Mapping[str, object]], row: HistoryRow) -> None:
    for attempt in failed:
        at = _instant(attempt.get("finished_at")) or instant_of(row["position"])
        _tally(minutes, _ms(at), row["handler"], str(attempt.get("version") or "")).retried += 1


def _count_end(minutes: Minutes, row: HistoryRow, record: JobRecord | None) -> None:
    ended_ms = _ms(row["finished_at"])
    found = _tally(minutes, ended_ms, row["handler"], record.version if record is not None else None)
    if row["state"] == _SUCCEEDED:
        found.succeeded += 1
    else:
        found.dead += 1
    if record is None or record.started_at is None or record.queued_at is None:
        return
    began_ms = _ms(record.started_at)
    first_ms = _first_start_ms(record, record.queued_at) if record.attempts else began_ms
    found.waits += histogram_of(first_ms - _due_ms(record, row["event_id"], first_ms, record.queued_at))
    found.runs += histogram_of(ended_ms - began_ms)


def _tally(minutes: Minutes, at_ms: float, handler: str, version: str | None) -> Tally:
    key = (int(at_ms // 60_000), handler, _version(version))
    found = minutes.get(key)
    if found is None:
        found = minutes[key] = Tally()
    return found


def _first_start_ms(record: JobRecord, queued_at: datetime) -> float:
    """The start of the first attempt; of a job that was run again, since then."""
    starts = (_instant(attempt.get("started_at")) for attempt in record.attempts)
    first_at = next((at for at in starts if at is not None and at >= queued_at), record.started_at)
    return _ms(first_at or queued_at)


def _due_ms(record: JobRecord, event_id: UUID | None, first_ms: float, queued_at: datetime) -> float:
    """From when on the job could have begun.

    Redis knows a job since its first delivery. That it waited on its bus before tells the age of its event;
    for a job that was run again it does not matter.
    """
    if record.event is None or (record.attempts and _was_run_again(record, queued_at)):
        return _ms(queued_at)
    made_ms = _made_ms(event_id)
    if made_ms is not None and b'"deliverat"' not in record.event:
        return made_ms if made_ms <= first_ms else _ms(queued_at)
    try:
        when = _event.decode(record.event)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _ms(queued_at)
    made_at, deliver_at = _instant(when.time), _instant(when.deliverat)
    known = (
        made_ms if made_ms is not None else made_at and _ms(made_at),
        deliver_at and _ms(deliver_at),
    )
    return max((ms for ms in known if ms is not None and ms <= first_ms), default=_ms(queued_at))


def _was_run_again(record: JobRecord, queued_at: datetime) -> bool:
    began_at = _instant(record.attempts[0].get("started_at"))
    return began_at is not None and began_at < queued_at - _SKEW


def _made_ms(event_id: UUID | None) -> int | None:
    """When the id was made, where it says so: UUIDv7."""
    if event_id is None or (number := event_id.int) >> 76 & 0xF != _UUID7:
        return None
    return number >> 80


@lru_cache(maxsize=1000)
def _version(version: str | None) -> str:
    """The version as an index of Postgres takes it."""
    return version[:_VERSION_MAX] if version and version[:_VERSION_MAX].isprintable() else ""


def _instant(value: object) -> datetime | None:
    try:
        return from_rfc3339(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _ms(at: datetime) -> float:
    """Since 1970. Whole for what Redis wrote, which a float of seconds would not be."""
    return (at - _EPOCH) / _MS


class _When(msgspec.Struct):
    """What an event says of time."""

    time: str | None = None
    deliverat: str | None = None


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)
_SKEW: Final = timedelta(seconds=1)  # between the clocks of a worker and of Redis
_event = msgspec.json.Decoder(_When)
