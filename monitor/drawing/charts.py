"""Points in time in, the paths and marks of an SVG chart out; pure. templates/charts.html draws them.

A plot is WIDE x HIGH units and stretched to the room that it gets; places along it are percent of its width.
Each chart says in words what it shows, for those who do not see it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

Points = Sequence[float | None]
"""One a step, the oldest first; None where nothing is known."""
Words = Callable[[float], str]

WIDE: Final = 1000
HIGH: Final = 100

LENGTHS_MS: Final = tuple(
    1000 * length_s
    for length_s in (
        *(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800),
        *(3600, 7200, 18_000, 36_000, 86_400, 172_800),
    )
)
"""Ends of a scale of lengths of time, in milliseconds, that are round in words: 30 s, 1 min, 2 min, 1 h."""

_NICE: Final = (1, 2, 5, 10)
_STEPS_MIN: Final = (1, 2, 5, 10, 15, 30, 60, 120, 180, 240, 360)
_MARKS_MOST: Final = 4
_EDGE: Final = 4


@dataclass(frozen=True, slots=True)
class Series:
    """What one line or colour shows; `style` is the class of its colour."""

    name: str
    style: str
    points: Points


@dataclass(frozen=True, slots=True)
class Times:
    """When the first step began, and how long each is."""

    begin: datetime
    step: timedelta

    def at(self, step: int) -> str:
        """The step's beginning on the clock, in UTC."""
        return f"{self.begin.astimezone(UTC) + step * self.step:%H:%M}"


@dataclass(frozen=True, slots=True)
class Shape:
    """One series, drawn; in `line`, a point without neighbours is a short stroke."""

    name: str
    style: str
    line: str = ""
    area: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """A word at a place: percent from the left of the plot, or from its top."""

    at: float
    text: str
    anchor: str = "middle"


@dataclass(frozen=True, slots=True)
class Spot:
    """One step, to point at: percent from the left, how wide, and what it says."""

    left: float
    wide: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing. Where it `is_empty` there are axes without shapes."""

    shapes: Sequence[Shape]
    heights: Sequence[Mark]
    instants: Sequence[Mark]
    spots: Sequence[Spot]
    label: str
    is_empty: bool


def lines(
    title: str, series: Sequence[Series], times: Times, *, words: Words, tops: Sequence[float] = ()
) -> Chart:
    """A line a series; where a point is None there is a gap. It ends at the first of `tops` that fits."""
    most = max(_known(series), default=0)
    top = next((one for one in tops if one >= most), nice_top(most))
    steps = _steps(series)
    shapes = [
        Shape(one.name, one.style, _line(one.points, top, steps), _area(one.points, top, steps))
        for one in series
    ]
    return _chart(title, shapes, series, times, top=top, words=words)


def stacks(title: str, series: Sequence[Series], times: Times, *, words: Words) -> Chart:
    """A bar a step, made of the series one above the other; None counts as nothing."""
    steps = _steps(series)
    sums = [sum(one.points[step] or 0 for one in series) for step in range(steps)]
    top = nice_top(max(sums, default=0))
    shapes: list[Shape] = []
    below = [0.0] * steps
    for one in series:
        bars = [_bar(step, below[step], one.points[step] or 0, top, steps) for step in range(steps)]
        shapes.append(Shape(one.name, one.style, area="".join(bars)))
        below = [under + (point or 0) for under, point in zip(below, one.points, strict=True)]
    return _chart(title, shapes, series, times, top=top, words=words)


def sparkline(title: str, series: Sequence[Series], *, words: Words) -> Chart:
    """Lines without axes, for a row of a table; all on one scale."""
    most = max(_known(series), default=0)
    steps = _steps(series)
    shapes = [
        Shape(one.name, one.style, _line(one.points, most, steps), _area(one.points, most, steps))
        for one in series
        if most and any(one.points)
    ]
    return Chart(shapes, (), (), (), _facts(title, series, None, words), is_empty=not shapes)


def nice_top(most: float) -> float:
    """The end of a scale that holds `most`: 1, 2 or 5 times a power of ten; at least 1."""
    power = 1.0
    while power * _NICE[-1] < most:
        power *= 10
    return next(power * step for step in _NICE if power * step >= most)


def instants(times: Times, steps: int) -> list[Mark]:
    """Full minutes, quarters or hours along the axis: as many as are legible."""
    begin = times.begin.astimezone(UTC)
    length = steps * times.step
    minutes = length / timedelta(minutes=1)
    every = timedelta(minutes=next((one for one in _STEPS_MIN if minutes / one <= _MARKS_MOST), 720))
    midnight = begin.replace(hour=0, minute=0, second=0, microsecond=0)
    at = midnight + -((midnight - begin) // every) * every
    marks: list[Mark] = []
    while length and at <= begin + length:
        place = round(100 * ((at - begin) / length), 2)
        marks.append(Mark(place, f"{at:%H:%M}", _anchor(place)))
        at += every
    return marks


def _chart(
    title: str, shapes: Sequence[Shape], series: Sequence[Series], times: Times, *, top: float, words: Words
) -> Chart:
    steps = _steps(series)
    return Chart(
        shapes=shapes,
        heights=[Mark(0, words(top)), Mark(50, words(top / 2))],
        instants=instants(times, steps),
        spots=_spots(series, times, steps, words),
        label=_facts(title, series, times, words),
        is_empty=not any(_known(series)),
    )


def _spots(series: Sequence[Series], times: Times, steps: int, words: Words) -> list[Spot]:
    """Only where there is something to say."""
    wide = round(100 / steps, 3) if steps else 0
    spots: list[Spot] = []
    for step in range(steps):
        told = [f"{words(point)} {one.name}" for one in series if (point := one.points[step])]
        if told:
            spots.append(Spot(round(100 * step / steps, 3), wide, f"{times.at(step)} {', '.join(told)}"))
    return spots


def _facts(title: str, series: Sequence[Series], times: Times | None, words: Words) -> str:
    steps = _steps(series)
    when = f", {times.at(0)} to {times.at(steps)} UTC" if times and steps else ""
    told = [f"{one.name} {_highest(one, times, words)}" for one in series]
    return f"{title}{when}: {'; '.join(told) if any(_known(series)) else 'nothing'}"


def _highest(one: Series, times: Times | None, words: Words) -> str:
    known = [(point, step) for step, point in enumerate(one.points) if point is not None]
    if not known or not any(point for point, _ in known):
        return "none"
    most, step = max(known, key=lambda pair: pair[0])
    return f"at most {words(most)}" + (f" at {times.at(step)}" if times else "")


def _line(points: Points, top: float, steps: int) -> str:
    drawn: list[str] = []
    for run in _runs(points):
        places = [f"{_x(step, steps)} {_y(point, top)}" for step, point in run]
        if len(run) == 1:
            half = round(0.3 * WIDE / steps, 1)
            drawn.append(f"M{places[0]}m{-half:g} 0h{2 * half:g}")
        else:
            drawn.append("M" + "L".join(places))
    return "".join(drawn)


def _area(points: Points, top: float, steps: int) -> str:
    drawn: list[str] = []
    for run in _runs(points):
        if len(run) > 1:
            first, last = run[0][0], run[-1][0]
            edge = "".join(f"L{_x(step, steps)} {_y(point, top)}" for step, point in run)
            drawn.append(f"M{_x(first, steps)} {HIGH}{edge}L{_x(last, steps)} {HIGH}z")
    return "".join(drawn)


def _runs(points: Points) -> list[list[tuple[int, float]]]:
    """The points between the gaps."""
    runs: list[list[tuple[int, float]]] = [[]]
    for step, point in enumerate(points):
        if point is not None:
            runs[-1].append((step, point))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _bar(step: int, below: float, point: float, top: float, steps: int) -> str:
    if not point:
        return ""
    wide = WIDE / steps
    left, upper, lower = step * wide + 0.1 * wide, _y(below + point, top), _y(below, top)
    return f"M{left:g} {lower}V{upper}h{0.8 * wide:g}V{lower}z"


def _x(step: int, steps: int) -> str:
    """The middle of the step."""
    return f"{round(WIDE * (step + 0.5) / steps, 1):g}"


def _y(point: float, top: float) -> str:
    return f"{round(HIGH * (1 - point / top), 2) if top else HIGH:g}"


def _known(series: Sequence[Series]) -> list[float]:
    return [point for one in series for point in one.points if point is not None]


def _steps(series: Sequence[Series]) -> int:
    return max((len(one.points) for one in series), default=0)


def _anchor(place: float) -> str:
    return "start" if place < _EDGE else "end" if place > 100 - _EDGE else "middle"
