"""The recorder: the log of jobs in Redis in, the history of jobs and settled events in Postgres out.

Any number of gateways may run one: they share the log as a consumer group. A batch is acknowledged once it
is in Postgres, so after a crash it is recorded again, which changes nothing.
"""

import asyncio
import os
import random
import socket
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from time import monotonic
from typing import Final, Self
from uuid import uuid4

import msgspec
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.history.history_rows import (
    COLUMNS,
    HistoryRow,
    instant_of,
    position_of,
    row_of,
    row_of_change,
    without_details,
)
from gateway.ledger import minutes
from gateway.ledger.away import away
from gateway.ledger.caused import group_of
from gateway.ledger.ending import end
from gateway.ledger.groups import complete, mark, open_groups
from gateway.ledger.ledger import HandOver
from gateway.ledger.minutes import Former
from gateway.ledger.registered import RegisteredHandlers
from gateway.ledger.settling import enter_unknown, settle
from shared.jobs import FINAL, Change, Entry, JobLog, JobReader, JobRecord, Registry
from shared.telemetry import get_logger

log = get_logger()

GROUP: Final = "recorder"
BLOCK: Final = timedelta(seconds=2)
DEAD_AFTER: Final = timedelta(seconds=30)
"""How long a recorder may hold a batch before another takes it over."""
ENTRIES_AT_ONCE: Final = 200
ROWS_AT_ONCE: Final = 500
FIRST_PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 2.0

_in_order: Final = itemgetter(*COLUMNS)
_NAMES: Final = ", ".join(COLUMNS)
_VALUES: Final = ", ".join(f"{name}::{type_}" for name, type_ in COLUMNS.items())
_ARRAYS: Final = ", ".join(
    f"CAST(:{name} AS {'text' if type_ == 'json' else type_}[])" for name, type_ in COLUMNS.items()
)
_CHANGES: Final = ", ".join(f"{name} = excluded.{name}" for name in COLUMNS)

# An older view never replaces a newer one. The order of views is that of the log: attempt numbers are none,
# for a snooze and a replay lower them. A view taken at an entry shows that entry's change or a later one.
# What the row told before is noted by the write itself: other recorders may write the job at the same time.
_WRITE: Final = text(f"""
    INSERT INTO gateway.jobs AS known ({_NAMES})
    SELECT {_VALUES} FROM unnest({_ARRAYS}) AS seen ({_NAMES})
    ON CONFLICT (id) DO UPDATE SET {_CHANGES}, changed_at = now(),
        former_end = known.finished_at, former_failures = json_array_length(known.attempts)
    WHERE known.position <= excluded.position
    RETURNING id, former_end, former_failures
""")  # noqa: S608 - built from our own column names


class View:
    """A job as it was seen: its record, or only the change where Redis has forgotten the job."""

    __slots__ = ("group", "record", "row")

    def __init__(self, row: HistoryRow, record: JobRecord | None) -> None:
        self.row = row
        self.record = record
        self.group = group_of(record) if record is not None else None


class Recorder:
    """Follows the job log while it is entered.

    While Redis or Postgres is away it keeps its batch and tries again with growing pauses. `hand_over` takes
    the events that follow groups; without it the relay's sweeper finds them.
    """

    def __init__(
        self,
        log: JobLog,
        reader: JobReader,
        registry: Registry,
        engine: AsyncEngine,
        *,
        hand_over: HandOver | None = None,
    ) -> None:
        self._log = log
        self._reader = reader
        self._handlers = RegisteredHandlers(registry)
        self._engine = engine
        self._hand_over = hand_over
        self._consumer = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"
        self._batch: list[Entry] = []
        self._joined = False
        self._looked_for_dead_at = 0.0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._record_for_ever(), name="recorder")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            await end(self._task)

    async def record(self, job_ids: Sequence[str]) -> None:
        """Write these jobs as Redis has them now, whatever the log told of them.

        Jobs that Redis does not know are left as they are. Raises what Redis or Postgres raise when away.
        """
        # What is read from now on shows every change that an entry of the log told of before.
        position = position_of(await self._log.now_id())
        ids = sorted(job_ids)
        records = await self._read(ids)
        views = [View(row_of(record, position), record) for record in records if record is not None]
        for start in range(0, len(views), ROWS_AT_ONCE):
            await self._write(views[start : start + ROWS_AT_ONCE])
        await self._free(views)

    async def lag(self) -> timedelta:
        """How old the oldest change is that no recorder has written."""
        oldest = await self._log.oldest_open(GROUP)
        if oldest is None:
            return timedelta(0)
        return datetime.now(UTC) - instant_of(position_of(oldest))

    async def _record_for_ever(self) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                await self._record_next()
                pause_s = FIRST_PAUSE_S
            except Exception as error:  # noqa: BLE001 - a loop: the batch is kept and tried again, whatever failed
                self._joined = False
                report = log.warning if away(error) else log.exception
                report("recorder.interrupted", error=str(error), entries=len(self._batch))
                await asyncio.sleep(random.uniform(pause_s / 2, pause_s))  # noqa: S311 - jitter, no secret
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    async def _record_next(self) -> None:
        if not self._batch:
            self._batch = await self._take()
        views = await self._look(_newest_changes(self._batch))
        if any(view.record is None for view in views) and not await self._log.holds(self._batch[-1][0]):
            # Redis came back empty after the batch was taken. What its jobs caused may be lost, and nobody
            # can tell: so they are not known to have ended, and their events come again from the ledger.
            log.warning("recorder.log_lost", entries=len(self._batch))
            views = [view for view in views if view.record is not None]
        for start in range(0, len(views), ROWS_AT_ONCE):
            await self._write(views[start : start + ROWS_AT_ONCE])
        await self._free(views)
        await self._log.done(GROUP, [entry_id for entry_id, _ in self._batch])
        self._batch = []

    async def _take(self) -> list[Entry]:
        """The batch of a recorder that died, else the next of the log."""
        if not self._joined:
            await self._log.join(GROUP)
            self._joined = True
        if monotonic() - self._looked_for_dead_at > DEAD_AFTER.total_seconds() / 3:
            left = await self._log.take_over(GROUP, self._consumer, idle=DEAD_AFTER, count=ENTRIES_AT_ONCE)
            if left:
                log.info("recorder.took_over", entries=len(left))
                return left
            self._looked_for_dead_at = monotonic()
        return await self._log.take(GROUP, self._consumer, block=BLOCK, count=ENTRIES_AT_ONCE)

    async def _look(self, changes: dict[str, tuple[Change, int]]) -> list[View]:
        """The changed jobs as they are now.

        Sorted by id: recorders that write the same jobs never lock crosswise.
        """
        job_ids = sorted(changes)
        records = await self._read(job_ids)
        handlers = await self._handlers.all()
        views: list[View] = []
        for job_id, record in zip(job_ids, records, strict=True):
            change, position = changes[job_id]
            if record is not None:
                views.append(View(row_of(record, position), record))
            else:
                handler = handlers.get(change.handler)
                event_type = handler.event_type if handler else ""
                views.append(View(row_of_change(change, event_type, position), None))
        return views

    async def _read(self, job_ids: Sequence[str]) -> list[JobRecord | None]:
        try:
            return await self._reader.get(job_ids)
        except (ValueError, msgspec.MsgspecError, RecursionError) as error:
            if len(job_ids) == 1:
                log.warning("recorder.record_unreadable", job_id=job_ids[0], error=str(error))
                return [None]
        return [record for job_id in job_ids for record in await self._read([job_id])]

    async def _write(self, views: Sequence[View]) -> None:
        """The jobs first, then what the ledger learns from them."""
        try:
            await self._write_together(views)
        except DBAPIError as error:
            if not _is_refusal(error):
                raise
            for view in views:
                await self._write_alone(view)
        await self._follow_up(views)

    async def _follow_up(self, views: Sequence[View]) -> None:
        """Settle the events whose jobs have ended, then complete the groups whose events are settled."""
        ended = {
            view.row["event_id"]
            for view in views
            if view.row["state"] in FINAL and view.row["event_id"] is not None
        }
        groups = {view.group.id for view in views if view.group is not None}
        if not ended and not groups:
            return
        handlers = await self._handlers.all()
        async with self._engine.begin() as connection:
            await settle(connection, ended, handlers)
            groups |= await mark(connection, events=sorted(ended), groups=sorted(groups))
        if groups:
            async with self._engine.begin() as connection:
                following = await complete(connection, sorted(groups))
            if self._hand_over is not None:
                self._hand_over(following)

    async def _free(self, views: Sequence[View]) -> None:
        """What jobs caused is in the ledger; the copies in Redis have served."""
        recorded = [view.record.id for view in views if view.record is not None and view.record.caused_events]
        if recorded:
            await self._log.free(recorded)

    async def _write_together(self, views: Sequence[View]) -> None:
        async with self._engine.begin() as connection:
            formers = await _write_rows(connection, [view.row for view in views])
            await enter_unknown(connection, [view.record for view in views if view.record is not None])
            await open_groups(connection, [view.group for view in views if view.group is not None])
            await minutes.add(connection, minutes.tally(views, formers))

    async def _write_alone(self, view: View) -> None:
        """As it is, else without what a handler wrote, else not at all: it must not hold up the others."""
        bare = without_details(view.row)
        for one in (view, View(bare, view.record), View(bare, None)):
            try:
                await self._write_together([one])
            except DBAPIError as error:
                if not _is_refusal(error):
                    raise
                log.warning("recorder.row_refused", job_id=view.row["id"], error=str(error.orig))
            else:
                return
        log.error("recorder.job_not_recorded", job_id=view.row["id"])


def _newest_changes(entries: Sequence[Entry]) -> dict[str, tuple[Change, int]]:
    """Each changed job once, with its last change and where that stands in the log."""
    return {
        change.job_id: (change, position_of(entry_id)) for entry_id, changes in entries for change in changes
    }


async def _write_rows(connection: AsyncConnection, rows: Sequence[HistoryRow]) -> dict[str, Former]:
    """Enter the jobs; what the rows that were written told before, by id."""
    values = zip(*map(_in_order, rows), strict=True)
    written = await connection.execute(_WRITE, dict(zip(COLUMNS, values, strict=True)))
    return {id_: (end, failures) for id_, end, failures in written}


# Classes of SQLSTATE: data exception, integrity constraint violation, program limit exceeded.
_REFUSALS: Final = ("22", "23", "54")


def _is_refusal(error: DBAPIError) -> bool:
    """Whether Postgres understood the statement and does not take its values: trying again is no cure."""
    return str(getattr(error.orig, "sqlstate", "")).startswith(_REFUSALS)
