"""Where the spans of a trace stand in its drawing."""

from collections.abc import Sequence

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from monitor.traces.span import spans_of
from monitor.traces.waterfall import Row, waterfall
from tests.monitor.bodies import Made, otlp


def test_children_stand_under_their_parent_by_start() -> None:
    rows = _rows(
        Made(trace=1, span=1, name="root", start_us=0, took_us=100),
        Made(trace=1, span=2, parent=1, name="second", start_us=50, took_us=50),
        Made(trace=1, span=3, parent=1, name="first", start_us=10, took_us=10),
        Made(trace=1, span=4, parent=3, name="below first", start_us=15, took_us=5),
    )

    assert [(row.span.operation, row.depth) for row in rows] == [
        ("root", 0),
        ("first", 1),
        ("below first", 2),
        ("second", 1),
    ]
    assert [(row.left, row.width) for row in rows] == [(0, 100), (10, 10), (15, 5), (50, 50)]


def test_a_span_whose_parent_is_missing_is_a_root_that_says_so() -> None:
    [row] = _rows(Made(trace=1, span=1, parent=9))

    assert (row.depth, row.is_orphan) == (0, True)


def test_spans_whose_parents_go_in_a_circle_are_drawn_once_each() -> None:
    rows = _rows(
        Made(trace=1, span=1, parent=2, start_us=0),
        Made(trace=1, span=2, parent=1, start_us=1),
        Made(trace=1, span=3, parent=3, start_us=2),
    )

    assert sorted(row.span.span_id[-1] for row in rows) == [1, 2, 3]


def test_a_chain_of_thousands_is_no_deeper_than_can_be_drawn() -> None:
    rows = _rows(*(Made(trace=1, span=n, parent=n - 1, start_us=n) for n in range(1, 3_000)))

    assert rows[-1].depth == 999
    assert rows[-1].indent == 12


def test_a_moment_at_the_end_of_the_axis_is_still_on_it() -> None:
    rows = _rows(
        Made(trace=1, span=1, start_us=0, took_us=1_000_000),
        Made(trace=1, span=2, start_us=1_000_000, took_us=0),
    )

    assert all(row.left + row.width <= 100 for row in rows)
    assert rows[1].width > 0


def _rows(*made: Made) -> Sequence[Row]:
    spans = spans_of(ExportTraceServiceRequest.FromString(otlp(*made))).spans
    return waterfall(sorted(spans, key=lambda span: span.start_us)).rows
