"""One question a function, on the connection to traces.sqlite that it is given."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from monitor.traces.search import Cursor, Dependency, Found, Operation, Search, TraceSummary
from monitor.traces.span import UNKNOWN_SERVICE, Details, Resource, Span, Tag

FOUND_SPANS_MAX = 50_000
"""The most spans in one answer to find(): about 50 MB as JSON."""

_details = msgspec.json.Decoder(Details).decode
_tags = msgspec.json.Decoder(tuple[Tag, ...]).decode

_TRACE = """
SELECT s.trace_id, s.span_id, s.parent_id, s.operation, s.kind, s.start_us, s.duration_us, s.is_error,
    s.details, s.resource_id, r.service, r.tags
FROM spans s LEFT JOIN resources r ON r.id = s.resource_id
WHERE s.trace_id = ? ORDER BY s.start_us, s.id
"""
_FIND = """
SELECT p.trace_id, (SELECT count(*) FROM spans s WHERE s.trace_id = p.trace_id)
FROM parts p
WHERE p.service = :service AND p.start_us <= :end_us AND p.end_us >= :start_us AND EXISTS (
    SELECT 1 FROM spans s LEFT JOIN resources r ON r.id = s.resource_id
    WHERE s.trace_id = p.trace_id AND s.service = :service AND s.start_us BETWEEN :start_us AND :end_us
    AND (:operation IS NULL OR s.operation = :operation)
    AND (:duration_min_us IS NULL OR s.duration_us >= :duration_min_us)
    AND (:duration_max_us IS NULL OR s.duration_us <= :duration_max_us)
    AND (:any_tags OR has_tags(s.details, r.tags))
)
ORDER BY p.start_us DESC, p.trace_id DESC LIMIT :limit
"""
_RECENT = """
SELECT trace_id, start_us, start_us, end_us - start_us FROM traces
WHERE (start_us, trace_id) < (?, ?) ORDER BY start_us DESC, trace_id DESC LIMIT ?
"""
_RECENT_OF_SERVICE = """
SELECT p.trace_id, p.start_us, t.start_us, t.end_us - t.start_us FROM parts p JOIN traces t USING (trace_id)
WHERE p.service = ? AND (p.start_us, p.trace_id) < (?, ?) ORDER BY p.start_us DESC, p.trace_id DESC LIMIT ?
"""
_ROOT = """
SELECT s.service, s.operation FROM spans s WHERE s.trace_id = :id
ORDER BY EXISTS (SELECT 1 FROM spans p WHERE p.trace_id = :id AND p.span_id = s.parent_id), s.start_us, s.id
LIMIT 1
"""
_DEPENDENCIES = """
SELECT p.service, c.service, count(*)
FROM spans c JOIN spans p ON p.trace_id = c.trace_id AND p.span_id = c.parent_id
WHERE c.start_us BETWEEN ? AND ? AND p.service <> c.service GROUP BY 1, 2 ORDER BY 1, 2
"""


def services(db: sqlite3.Connection) -> list[str]:
    """The services that have sent spans lately, by name."""
    return _column(db, "SELECT DISTINCT service FROM operations ORDER BY 1")


def operations(db: sqlite3.Connection, service: str, kind: str | None) -> list[Operation]:
    """The span names of a service, of all kinds or of one."""
    question = "SELECT name, kind FROM operations WHERE service = ? AND ifnull(kind = ?, TRUE) ORDER BY 1, 2"
    return [Operation(*row) for row in db.execute(question, (service, kind))]


def dependencies(db: sqlite3.Connection, start_us: int, end_us: int) -> list[Dependency]:
    """Which service called which, by the spans that began in this time."""
    return [Dependency(*row) for row in db.execute(_DEPENDENCIES, (start_us, end_us))]


def trace(db: sqlite3.Connection, trace_id: bytes) -> list[Span]:
    """The spans of one trace by start; none when it is not known."""
    resources: dict[int, Resource] = {}
    return [_span(row, resources) for row in db.execute(_TRACE, (trace_id,))]


def find(db: sqlite3.Connection, search: Search) -> Found:
    """The newest traces that fit; fewer than asked for where they would make a giant answer."""
    db.create_function("has_tags", 2, _has_tags(search.tags), deterministic=True)
    fitting = db.execute(
        _FIND,
        {
            "service": search.service,
            "start_us": search.start_us,
            "end_us": search.end_us,
            "operation": search.operation,
            "duration_min_us": search.duration_min_us,
            "duration_max_us": search.duration_max_us,
            "any_tags": not search.tags,
            "limit": search.limit,
        },
    ).fetchall()
    traces: list[Sequence[Span]] = []
    spans = 0
    for trace_id, size in fitting:
        if traces and spans + size > FOUND_SPANS_MAX:
            break
        traces.append(trace(db, trace_id))
        spans += size
    return Found(traces, left_out=len(fitting) - len(traces))


def recent(
    db: sqlite3.Connection, service: str | None, after: Cursor | None, limit: int
) -> tuple[list[TraceSummary], Cursor | None]:
    """A page of the newest traces; with a service, by the start of its own part of each."""
    place = (after.start_us, after.trace_id) if after else (2**63 - 1, b"")
    if service is None:
        rows = db.execute(_RECENT, (*place, limit + 1)).fetchall()
    else:
        rows = db.execute(_RECENT_OF_SERVICE, (service, *place, limit + 1)).fetchall()
    page = [_summary(db, trace_id, start_us, took_us) for trace_id, _, start_us, took_us in rows[:limit]]
    if len(rows) <= limit:
        return page, None
    last_id, last_place_us, *_ = rows[limit - 1]
    return page, Cursor(last_place_us, last_id)


def _has_tags(wanted: Mapping[str, str]) -> Callable[[bytes, bytes | None], bool]:
    """Whether a span, its logs or its process have every wanted tag, as Jaeger's own stores understand it."""
    pairs = set(wanted.items())
    keys = [msgspec.json.encode(key) for key in wanted]

    def has_tags(details: bytes, resource: bytes | None) -> bool:
        process = resource or b"[]"
        if not all(key in details or key in process for key in keys):  # spares most spans the decoding
            return False
        span = _details(details)
        tags = [*span.tags, *_tags(process), *(tag for log in span.logs for tag in log.fields)]
        return pairs <= {(tag.key, _text(tag.value)) for tag in tags}

    return has_tags


def _text(value: str | float) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _span(row: Sequence[Any], resources: dict[int, Resource]) -> Span:
    trace_id, span_id, parent_id, operation, kind, start_us, duration_us, is_error, details, *process = row
    resource_id, service, tags = process
    if resource_id not in resources:
        resources[resource_id] = Resource(service or UNKNOWN_SERVICE, _tags(tags or b"[]"))
    return Span(
        trace_id=trace_id,
        span_id=span_id,
        parent_id=parent_id,
        operation=operation,
        kind=kind,
        start_us=start_us,
        duration_us=duration_us,
        is_error=bool(is_error),
        resource=resources[resource_id],
        details=_details(details),
    )


def _summary(db: sqlite3.Connection, trace_id: bytes, start_us: int, duration_us: int) -> TraceSummary:
    counted = "SELECT count(*), total(is_error) FROM spans WHERE trace_id = ?"
    spans, errors = db.execute(counted, (trace_id,)).fetchone()
    services = _column(db, "SELECT service FROM parts WHERE trace_id = ? ORDER BY start_us", trace_id)
    root_service, root_operation = db.execute(_ROOT, {"id": trace_id}).fetchone() or ("", "")
    return TraceSummary(
        trace_id=trace_id,
        start_us=start_us,
        duration_us=duration_us,
        spans=spans,
        errors=int(errors),
        services=services,
        root_service=root_service,
        root_operation=root_operation,
    )


def _column(db: sqlite3.Connection, question: str, *values: object) -> list[str]:
    return [row[0] for row in db.execute(question, values)]
