"""Labels and values in, a chart as SVG out: columns over time or bars by size. Pure; nothing is looked up.

Text gets into it through ElementTree, which escapes: no label can become markup.
"""

import math
from collections.abc import Sequence
from typing import Final
from xml.etree.ElementTree import Element, SubElement, tostring

WIDTH: Final = 520
_FONT: Final = "Libertinus Serif"
_SIZE: Final = 9
_INK: Final = "#1f2933"
_FAINT: Final = "#7b8794"
_LINE: Final = "#e4e7eb"
_FILL: Final = "#1d6f8c"

_PLOT_HEIGHT: Final = 150
_TOP: Final = 8
_LEFT: Final = 52
_LABELS: Final = 8
"""At most so many labels stand below the columns."""
_HALF_LABEL: Final = 14

_BAR: Final = 13
_GAP: Final = 7
_NAME: Final = 150
_VALUE: Final = 64
_LONGEST: Final = 28
"""Characters of a label; the table has all of it."""


def columns(labels: Sequence[str], values: Sequence[float]) -> str:
    """A column for each value, in the order given; some labels below, a scale at the left."""
    svg = _svg(_TOP + _PLOT_HEIGHT + 22)
    ticks = _ticks(max(values, default=0.0))
    scale = _PLOT_HEIGHT / ticks[-1]
    floor = _TOP + _PLOT_HEIGHT
    for tick in ticks:
        y = floor - tick * scale
        _rule(svg, _LEFT, WIDTH, y)
        _text(svg, _LEFT - 6, y + 3, short(tick), anchor="end", colour=_FAINT)
    step = (WIDTH - _LEFT) / max(1, len(values))
    every = max(1, math.ceil(len(labels) / _LABELS))
    for n, (label, value) in enumerate(zip(labels, values, strict=True)):
        x, width = _LEFT + n * step, min(step * 0.72, 40)
        if value > 0:
            _box(svg, x + (step - width) / 2, floor - value * scale, width, value * scale)
        if n % every == 0:
            middle = min(x + step / 2, WIDTH - _HALF_LABEL)
            _text(svg, middle, floor + 14, label, anchor="middle", colour=_FAINT)
    return tostring(svg, encoding="unicode")


def bars(labels: Sequence[str], values: Sequence[float], shown: Sequence[str]) -> str:
    """A bar for each value from above, its label at the left, its value as `shown` at the right."""
    svg = _svg(max(1, len(values)) * (_BAR + _GAP) + 4)
    most = max(values, default=0.0) or 1.0
    for n, (label, value, text) in enumerate(zip(labels, values, shown, strict=True)):
        y = 2 + n * (_BAR + _GAP)
        width = max(0.8, value / most * (WIDTH - _NAME - _VALUE))
        _text(svg, _NAME - 8, y + _BAR - 3.5, _cut(label), anchor="end", colour=_INK)
        _box(svg, _NAME, y, width, _BAR)
        _text(svg, _NAME + width + 5, y + _BAR - 3.5, text, anchor="start", colour=_FAINT)
    return tostring(svg, encoding="unicode")


def short(value: float) -> str:
    """1500 is 1.5k, 2000000 is 2M."""
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.4g}{letter}"
    return f"{value:.4g}"


def _ticks(most: float) -> list[float]:
    """From 0 up to `most` or a little more, in steps of 1, 2 or 5 times a power of ten."""
    if most <= 0:
        return [0.0, 1.0]
    rough = most / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    return [n * step for n in range(math.ceil(most / step - 1e-9) + 1)]


def _svg(height: float) -> Element:
    return Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {WIDTH} {height:g}",
            "width": f"{WIDTH}",
            "height": f"{height:g}",
            "font-family": _FONT,
            "font-size": f"{_SIZE}",
        },
    )


def _box(svg: Element, x: float, y: float, width: float, height: float) -> None:
    place = {"x": f"{x:.2f}", "y": f"{y:.2f}", "width": f"{width:.2f}", "height": f"{height:.2f}"}
    SubElement(svg, "rect", {**place, "fill": _FILL})


def _rule(svg: Element, left: float, right: float, y: float) -> None:
    place = {"x1": f"{left:g}", "x2": f"{right:g}", "y1": f"{y:.2f}", "y2": f"{y:.2f}"}
    SubElement(svg, "line", {**place, "stroke": _LINE, "stroke-width": "0.7"})


def _text(svg: Element, x: float, y: float, text: str, *, anchor: str, colour: str) -> None:
    place = {"x": f"{x:.2f}", "y": f"{y:.2f}", "text-anchor": anchor, "fill": colour}
    SubElement(svg, "text", place).text = text


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
