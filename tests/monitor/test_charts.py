"""Charts: points in, paths and marks out."""

from datetime import UTC, datetime, timedelta

import pytest

from monitor.drawing.charts import LENGTHS_MS, Series, Times, instants, lines, nice_top, sparkline, stacks
from monitor.pages.handler import length_of

MINUTES = Times(datetime(2026, 1, 31, 11, 52, tzinfo=UTC), timedelta(minutes=1))


def whole(number: float) -> str:
    return f"{number:g}"


@pytest.mark.parametrize(
    ("most", "top"), [(0, 1), (0.4, 1), (1, 1), (1.1, 2), (3, 5), (7, 10), (10, 10), (11, 20), (4_999, 5_000)]
)
def test_a_scale_ends_at_a_round_number_that_holds_all(most: float, top: float) -> None:
    assert nice_top(most) == top


def test_a_line_runs_through_the_middle_of_each_step_on_a_round_scale() -> None:
    chart = lines("Jobs", [Series("ended", "s0", [0, 5, 10])], MINUTES, words=whole)

    assert chart.shapes[0].line == "M166.7 100L500 50L833.3 0"
    assert chart.shapes[0].area == "M166.7 100L166.7 100L500 50L833.3 0L833.3 100z"
    assert [mark.text for mark in chart.heights] == ["10", "5"]


@pytest.mark.parametrize(
    ("most_ms", "top", "half"),
    [
        (180, "200 ms", "100 ms"),
        (4_000, "5 s", "2.5 s"),
        (45_000, "1 min", "30 s"),
        (240_000, "5 min", "2 min 30 s"),
        (5_400_000, "2 h", "1 h"),
    ],
)
def test_a_scale_of_lengths_of_time_is_round_in_words(most_ms: float, top: str, half: str) -> None:
    chart = lines("Took", [Series("p95", "g0", [most_ms])], MINUTES, words=length_of, tops=LENGTHS_MS)

    assert [mark.text for mark in chart.heights] == [top, half]


def test_where_a_point_is_not_known_the_line_has_a_gap() -> None:
    chart = lines("Jobs", [Series("ended", "s0", [1, 1, None, 1, 1])], MINUTES, words=whole)

    assert chart.shapes[0].line == "M100 0L300 0M700 0L900 0"


def test_a_point_alone_is_a_short_stroke_and_no_area() -> None:
    chart = lines("Jobs", [Series("ended", "s0", [None, 2, None])], MINUTES, words=whole)

    assert chart.shapes[0].line == "M500 0m-100 0h200"
    assert chart.shapes[0].area == ""


def test_bars_stand_one_above_the_other_and_the_scale_holds_their_sum() -> None:
    good, bad = Series("succeeded", "f-good", [6, 0]), Series("failed", "f-error", [4, None])
    chart = stacks("Jobs", [good, bad], MINUTES, words=whole)

    assert [shape.area for shape in chart.shapes] == ["M50 100V40h400V100z", "M50 40V0h400V40z"]
    assert chart.heights[0].text == "10"


def test_nothing_is_drawn_of_nothing_and_the_words_say_so() -> None:
    for chart in (
        lines("Jobs", [Series("ended", "s0", [])], MINUTES, words=whole),
        lines("Jobs", [Series("ended", "s0", [None, None])], MINUTES, words=whole),
        stacks("Jobs", [Series("ended", "s0", [0, 0])], MINUTES, words=whole),
        sparkline("Jobs", [Series("ended", "s0", [0, None])], words=whole),
    ):
        assert chart.is_empty
        assert not any(shape.line or shape.area for shape in chart.shapes)
        assert chart.label.endswith(": nothing")
        assert not chart.spots


def test_the_words_for_who_does_not_see_it_name_the_time_and_the_most_of_each() -> None:
    good, bad = Series("succeeded", "f-good", [3, 9]), Series("failed", "f-error", [0, 0])
    chart = stacks("Jobs a minute", [good, bad], MINUTES, words=whole)

    assert chart.label == "Jobs a minute, 11:52 to 11:54 UTC: succeeded at most 9 at 11:53; failed none"


def test_each_step_that_has_something_to_say_can_be_pointed_at() -> None:
    good, bad = Series("succeeded", "f-good", [3, 0, 9]), Series("failed", "f-error", [1, None, 0])
    chart = stacks("Jobs a minute", [good, bad], MINUTES, words=whole)

    assert [spot.text for spot in chart.spots] == ["11:52 3 succeeded, 1 failed", "11:54 9 succeeded"]


def test_marks_along_the_time_stand_at_full_quarters_of_an_hour() -> None:
    marks = instants(MINUTES, 60)

    assert [(mark.text, mark.at) for mark in marks] == [
        ("12:00", 13.33),
        ("12:15", 38.33),
        ("12:30", 63.33),
        ("12:45", 88.33),
    ]
    assert instants(MINUTES, 0) == []


def test_a_mark_at_an_edge_is_written_inwards() -> None:
    hour = Times(datetime(2026, 1, 31, 12, 0, tzinfo=UTC), timedelta(minutes=1))

    assert [mark.anchor for mark in instants(hour, 60)] == ["start", "middle", "middle", "middle", "end"]


def test_series_of_a_sparkline_share_a_scale_and_one_of_zeros_is_left_out() -> None:
    some = [Series("ended", "s0", [10, 0]), Series("failed", "s-error", [5, 0]), Series("dead", "s1", [0, 0])]
    chart = sparkline("Last hour", some, words=whole)

    assert [shape.line for shape in chart.shapes] == ["M250 0L750 100", "M250 50L750 100"]
    assert chart.label == "Last hour: ended at most 10; failed at most 5; dead none"
