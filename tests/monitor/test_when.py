"""Spans of time on one axis."""

from monitor.drawing.when import Place, places


def test_spans_lie_on_the_axis_from_the_first_begin_to_the_last_end() -> None:
    found = places(
        [
            ("2026-11-23T10:00:00.000000Z", "2026-11-23T10:30:00.000000Z"),
            ("2026-11-23T10:50:00.000000Z", "2026-11-23T11:40:00.000000Z"),
        ]
    )

    assert found == [Place(0, 30), Place(50, 50)]


def test_an_instant_is_wide_enough_to_be_seen_and_stays_on_the_axis() -> None:
    found = places(
        [
            ("2026-11-23T10:00:00.000000Z", "2026-11-23T11:00:00.000000Z"),
            ("2026-11-23T11:00:00.000000Z", "2026-11-23T11:00:00.000000Z"),
        ]
    )

    assert found == [Place(0, 100), Place(97, 3)]


def test_one_instant_alone_fills_the_axis_and_nothing_has_no_place() -> None:
    instant = "2026-11-23T10:00:00.000000Z"

    assert places([(instant, instant)]) == [Place(0, 100)]
    assert places([]) == []
