"""Spans in, rows of traces.sqlite out; deletes what is too old or too many, a bounded piece a turn.

Everything here runs in the writer's one thread (spans.py).
"""

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import msgspec

from monitor.traces.span import Resource, Span
from monitor.traces.span_file import open_for_writing

EVICTED_A_TURN = 5_000
"""Deleting this many spans takes about 50 ms, for which new ones wait."""

_NAME_REFRESH_US = 60_000_000
_NAMES_PRUNED_EVERY_S = 600.0
_encode = msgspec.json.Encoder().encode

_INSERT_SPAN = "INSERT OR IGNORE INTO spans VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_UPSERT_TRACE = """
INSERT INTO traces VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET
    start_us = min(start_us, excluded.start_us),
    end_us = max(end_us, excluded.end_us),
    received_at_us = excluded.received_at_us
"""
_UPSERT_PART = """
INSERT INTO parts VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET
    start_us = min(start_us, excluded.start_us),
    end_us = max(end_us, excluded.end_us)
"""
_UPSERT_RESOURCE = """
INSERT INTO resources VALUES (NULL, ?, ?, ?) ON CONFLICT DO UPDATE SET seen_at_us = excluded.seen_at_us
RETURNING id
"""
_UPSERT_OPERATION = """
INSERT INTO operations VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET seen_at_us = excluded.seen_at_us
"""
_OLDEST_TRACE = "SELECT trace_id, received_at_us FROM traces ORDER BY received_at_us LIMIT 1"
_DELETE_SPANS = """
DELETE FROM spans WHERE id IN (SELECT id FROM spans WHERE trace_id = ? ORDER BY id LIMIT ?)
"""


@dataclass(frozen=True)
class Turn:
    """What one turn of the writer did; `is_behind` when there is more to delete."""

    stored: int
    evicted: int
    kept: int
    is_behind: bool


class SpanWriter:
    """The one that writes; `spans_max` and `retention` are kept to within one turn."""

    def __init__(self, path: Path, *, spans_max: int, retention: timedelta) -> None:
        self._path = path
        self._spans_max = spans_max
        self._retention_us = retention // timedelta(microseconds=1)
        self._connection: sqlite3.Connection | None = None
        self._kept = 0
        self._names_seen_us: dict[tuple[str, str, str], int] = {}
        self._names_pruned_at = time.monotonic()

    def open(self) -> int:
        """Open the file, or a fresh one in its place; how many spans it holds."""
        self.close()
        self._connection = open_for_writing(self._path)
        self._kept = self._connection.execute("SELECT count(*) FROM spans").fetchone()[0]
        self._names_seen_us.clear()
        return self._kept

    def close(self) -> None:
        """Close the file; the last connection to close takes the WAL into it."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def turn(self, spans: Sequence[Span]) -> Turn:
        """Store the spans and delete what is due, in one transaction; all of it or, on an error, none."""
        now_us = time.time_ns() // 1000
        connection = self._open_connection()
        connection.execute("BEGIN IMMEDIATE")
        try:
            stored = self._insert(connection, spans, now_us) if spans else 0
            evicted, is_behind = self._evict(connection, self._kept + stored, now_us)
            self._prune_names(connection, now_us)
            connection.execute("COMMIT")
        except BaseException:
            self._names_seen_us.clear()
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        self._kept += stored - evicted
        return Turn(stored, evicted, self._kept, is_behind)

    def _open_connection(self) -> sqlite3.Connection:
        if self._connection is None:
            self.open()
        assert self._connection is not None  # noqa: S101 -- open() has just set it; this tells the type checker
        return self._connection

    def _insert(self, connection: sqlite3.Connection, spans: Sequence[Span], now_us: int) -> int:
        rows: list[tuple[object, ...]] = []
        traces: dict[bytes, tuple[int, int]] = {}
        parts: dict[tuple[bytes, str], tuple[int, int]] = {}
        names: set[tuple[str, str, str]] = set()
        resource: Resource | None = None
        resource_id, service = 0, ""
        for span in spans:
            if span.resource is not resource:  # the spans of one process come one after the other
                resource = span.resource
                service = resource.service
                resource_id = _resource_id(connection, resource, now_us)
            trace_id, start_us, end_us = span.trace_id, span.start_us, span.end_us
            rows.append(
                (
                    trace_id,
                    span.span_id,
                    span.parent_id,
                    resource_id,
                    service,
                    span.operation,
                    span.kind,
                    start_us,
                    span.duration_us,
                    span.is_error,
                    _encode(span.details),
                )
            )
            traces[trace_id] = _widened(traces.get(trace_id), start_us, end_us)
            part = (trace_id, service)
            parts[part] = _widened(parts.get(part), start_us, end_us)
            names.add((service, span.operation, span.kind))
        stored = connection.executemany(_INSERT_SPAN, rows).rowcount
        connection.executemany(_UPSERT_TRACE, [(id_, *time_, now_us) for id_, time_ in traces.items()])
        connection.executemany(_UPSERT_PART, [(*part, *time_) for part, time_ in parts.items()])
        self._see_names(connection, names, now_us)
        return stored

    def _see_names(
        self, connection: sqlite3.Connection, names: set[tuple[str, str, str]], now_us: int
    ) -> None:
        due = [name for name in names if self._names_seen_us.get(name, 0) < now_us - _NAME_REFRESH_US]
        connection.executemany(_UPSERT_OPERATION, [(*name, now_us) for name in due])
        self._names_seen_us.update(dict.fromkeys(due, now_us))

    def _evict(self, connection: sqlite3.Connection, kept: int, now_us: int) -> tuple[int, bool]:
        """Delete whole traces, the longest silent first; how many spans, and whether more are due."""
        evicted = 0
        while (oldest := connection.execute(_OLDEST_TRACE).fetchone()) is not None:
            trace_id, received_at_us = oldest
            is_old = received_at_us < now_us - self._retention_us
            excess = kept - evicted - self._spans_max
            if not is_old and excess <= 0:
                return evicted, False
            allowed = EVICTED_A_TURN - evicted
            if allowed <= 0:
                return evicted, True
            # A trace that alone is larger than the store loses its first spans only.
            is_last = (
                connection.execute("SELECT count(*) FROM (SELECT 1 FROM traces LIMIT 2)").fetchone()[0] == 1
            )
            limit = min(allowed, excess) if is_last and not is_old else allowed
            deleted = connection.execute(_DELETE_SPANS, (trace_id, limit)).rowcount
            evicted += deleted
            if deleted < limit:
                connection.execute("DELETE FROM traces WHERE trace_id = ?", (trace_id,))
                connection.execute("DELETE FROM parts WHERE trace_id = ?", (trace_id,))
        return evicted, False

    def _prune_names(self, connection: sqlite3.Connection, now_us: int) -> None:
        """Forget operations and processes that nobody has sent for the retention time."""
        if time.monotonic() - self._names_pruned_at < _NAMES_PRUNED_EVERY_S:
            return
        self._names_pruned_at = time.monotonic()
        oldest_us = now_us - self._retention_us
        connection.execute("DELETE FROM operations WHERE seen_at_us < ?", (oldest_us - _NAME_REFRESH_US,))
        connection.execute(
            "DELETE FROM resources WHERE seen_at_us < ? AND id NOT IN (SELECT resource_id FROM spans)",
            (oldest_us,),
        )
        self._names_seen_us = {
            name: seen_us for name, seen_us in self._names_seen_us.items() if seen_us >= oldest_us
        }


def _resource_id(connection: sqlite3.Connection, resource: Resource, now_us: int) -> int:
    row = (resource.service, _encode(resource.tags), now_us)
    return connection.execute(_UPSERT_RESOURCE, row).fetchone()[0]


def _widened(known: tuple[int, int] | None, start_us: int, end_us: int) -> tuple[int, int]:
    if known is None:
        return start_us, end_us
    return min(known[0], start_us), max(known[1], end_us)
