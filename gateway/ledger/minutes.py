"""The figures of each minute: what became of jobs in, counts and histograms by handler and version out.

What is counted is what the row of a job learnt from a write, in the same commit: a view that is recorded
twice, or by two recorders at once, counts once.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.history.durations import bucket_of
from gateway.history.history_rows import HistoryRow, instant_of
from shared.clock import from_rfc3339
from shared.jobs import JobRecord, State

_ADD: Final = text("""
    INSERT INTO gateway.job_minutes AS known (minute, handler, version, succeeded, dead, retried, waits, runs)
    VALUES (:minute, :handler, :version, :succeeded, :dead, :retried,
        CAST(:waits AS integer[]), CAST(:runs AS integer[]))
    ON CONFLICT (minute, handler, version) DO UPDATE SET
        succeeded = known.succeeded + excluded.succeeded,
        dead = known.dead + excluded.dead,
        retried = known.retried + excluded.retried,
        waits = ARRAY(
            SELECT coalesce(one, 0) + coalesce(other, 0)
            FROM unnest(known.waits, excluded.waits) WITH ORDINALITY AS both_of (one, other, place)
            ORDER BY place
        ),
        runs = ARRAY(
            SELECT coalesce(one, 0) + coalesce(other, 0)
            FROM unnest(known.runs, excluded.runs) WITH ORDINALITY AS both_of (one, other, place)
            ORDER BY place
        )
""")
_COUNTED: Final = frozenset({State.SUCCEEDED, State.DEAD})
_UUID7: Final = 7
_VERSION_MAX: Final = 100


class News(NamedTuple):
    """What a write told the row of a job."""

    row: HistoryRow
    record: JobRecord | None
    has_ended: bool
    failures: int
    """How many failed attempts it told of for the first time."""


class Tally:
    """The figures of a minute, so far."""

    __slots__ = ("dead", "retried", "runs", "succeeded", "waits")

    def __init__(self) -> None:
        self.succeeded = self.dead = self.retried = 0
        self.waits: dict[int, int] = {}
        self.runs: dict[int, int] = {}


Minutes = dict[tuple[int, str, str], Tally]
"""By minute since 1970, handler, and version of the worker."""


async def add(connection: AsyncConnection, minutes: Minutes) -> None:
    """Add the figures to those in Postgres. The last statement of its transaction: nobody waits for more.

    Sorted: recorders that add to the same minutes never lock crosswise.
    """
    if minutes:
        await connection.execute(_ADD, [_row(key, minutes[key]) for key in sorted(minutes)])


def tally(all_news: Iterable[News]) -> Minutes:
    """The figures by minute, handler and version of the worker."""
    minutes: Minutes = {}
    for news in all_news:
        _count_retried(minutes, news)
        if news.has_ended:
            _count_end(minutes, news)
    return minutes


def _count_retried(minutes: Minutes, news: News) -> None:
    """The attempts that failed, but for the one that the job died of."""
    if not news.failures or news.record is None:
        return
    failed = news.record.attempts[-news.failures :]
    if news.has_ended and news.row["state"] == State.DEAD:
        failed = failed[:-1]
    for attempt in failed:
        at = _instant(attempt.get("finished_at")) or instant_of(news.row["position"])
        _tally(minutes, at, news, _version(attempt.get("version"))).retried += 1


def _count_end(minutes: Minutes, news: News) -> None:
    row, record = news.row, news.record
    if row["state"] not in _COUNTED:
        return
    found = _tally(minutes, row["finished_at"], news, _version(record.version if record else None))
    if row["state"] == State.SUCCEEDED:
        found.succeeded += 1
    else:
        found.dead += 1
    if record is None or record.started_at is None or record.queued_at is None:
        return
    began_at, first_at = record.started_at, _first_start(record)
    _count(found.waits, first_at - _due_at(record, row["event_id"], first_at))
    _count(found.runs, row["finished_at"] - began_at)


def _tally(minutes: Minutes, at: datetime, news: News, version: str) -> Tally:
    key = (int(at.timestamp() // 60), news.row["handler"], version)
    found = minutes.get(key)
    if found is None:
        found = minutes[key] = Tally()
    return found


def _count(buckets: dict[int, int], duration: timedelta) -> None:
    bucket = bucket_of(duration / _MS)
    buckets[bucket] = buckets.get(bucket, 0) + 1


def _first_start(record: JobRecord) -> datetime:
    """The start of the first attempt; of a job that was run again, since then."""
    for attempt in record.attempts:
        began_at = _instant(attempt.get("started_at"))
        if began_at is not None and record.queued_at is not None and began_at >= record.queued_at:
            return began_at
    return record.started_at or instant_of(0)


def _due_at(record: JobRecord, event_id: UUID | None, first_at: datetime) -> datetime:
    """From when on the job could have begun.

    Redis knows a job since its first delivery. That it waited on its bus before tells the age of its event;
    for a job that was run again it does not matter.
    """
    queued_at = record.queued_at or first_at
    began = _instant(record.attempts[0].get("started_at")) if record.attempts else None
    if record.event is None or (began is not None and began < queued_at - _SKEW):
        return queued_at
    made_at = _made_at(event_id)
    if made_at is not None and b'"deliverat"' not in record.event:
        return made_at if made_at <= first_at else queued_at
    try:
        when = _event.decode(record.event)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return queued_at
    known = (made_at or _instant(when.time), _instant(when.deliverat))
    return max((at for at in known if at is not None and at <= first_at), default=queued_at)


def _made_at(event_id: UUID | None) -> datetime | None:
    """When the id was made, where it says so: UUIDv7."""
    if event_id is None or (number := event_id.int) >> 76 & 0xF != _UUID7:
        return None
    try:
        return datetime.fromtimestamp((number >> 80) / 1000, UTC)
    except (ValueError, OverflowError):
        return None


def _version(value: object) -> str:
    """The version as an index of Postgres takes it."""
    version = str(value or "")[:_VERSION_MAX]
    return version if version.isprintable() else ""


def _instant(value: object) -> datetime | None:
    try:
        return from_rfc3339(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _row(key: tuple[int, str, str], found: Tally) -> dict[str, Any]:
    return {
        "minute": _EPOCH + key[0] * _MINUTE,
        "handler": key[1],
        "version": key[2],
        "succeeded": found.succeeded,
        "dead": found.dead,
        "retried": found.retried,
        "waits": _list(found.waits),
        "runs": _list(found.runs),
    }


def _list(buckets: Mapping[int, int]) -> list[int]:
    return [buckets.get(bucket, 0) for bucket in range(max(buckets) + 1)] if buckets else []


class _When(msgspec.Struct):
    """What an event says of time."""

    time: str | None = None
    deliverat: str | None = None


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE: Final = timedelta(minutes=1)
_MS: Final = timedelta(milliseconds=1)
_SKEW: Final = timedelta(seconds=1)  # between the clocks of a worker and of Redis
_event = msgspec.json.Decoder(_When)
