"""Charts: values in, well-formed SVG out, whatever the labels say."""

from xml.etree import ElementTree as ET

import pytest

from report_service import charts


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter() if element.tag.endswith("text")]  # noqa: S314 - our own


def boxes(svg: str) -> list[dict[str, str]]:
    return [element.attrib for element in ET.fromstring(svg).iter() if element.tag.endswith("rect")]  # noqa: S314 - our own


def test_columns_are_as_high_as_their_values() -> None:
    drawn = boxes(charts.columns(["a", "b", "c"], [10, 20, 0]))

    heights = [float(box["height"]) for box in drawn]
    assert len(drawn) == 2
    assert heights[1] == pytest.approx(2 * heights[0], abs=0.02)


def test_a_year_of_days_has_few_labels() -> None:
    days = [f"day {n}" for n in range(366)]

    assert sum(text.startswith("day") for text in texts(charts.columns(days, [1.0] * 366))) <= 8


@pytest.mark.parametrize("values", [[], [0.0], [0.0, 0.0], [1e12, 1], [0.003]])
def test_no_values_break_it(values: list[float]) -> None:
    labels = [str(n) for n in range(len(values))]

    assert ET.fromstring(charts.columns(labels, values)).tag.endswith("svg")  # noqa: S314 - our own
    assert ET.fromstring(charts.bars(labels, values, labels)).tag.endswith("svg")  # noqa: S314 - our own


def test_labels_are_text_and_never_markup() -> None:
    label = '<image href="x"/>&amp;'

    svg = charts.bars([label], [1.0], ["1"])

    assert label in texts(svg)
    assert "<image" not in svg


@pytest.mark.parametrize(("value", "text"), [(0, "0"), (950, "950"), (1500, "1.5k"), (2e6, "2M")])
def test_a_scale_is_short(value: float, text: str) -> None:
    assert charts.short(value) == text
