"""Results in, the short answer out: each goal, what was measured of it, and whether it is reached."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bench.page.goals import GOALS, Goal
from bench.page.sections import aspect_of
from bench.page.table import NOT_MEASURED, markdown, number
from bench.result import Measurement, Results

_ROUNDS: Final = 3
_LOAD: Final = 0.1
"""The part of the machine that others may use before a figure tells more of them than of us."""


@dataclass(frozen=True)
class Answer:
    """What became of a goal; its value is None when its figures were not taken."""

    goal: Goal
    ours: Measurement | None
    other: Measurement | None

    @property
    def value(self) -> float | None:
        """What is held against the bound: our median, or its ratio to the other one."""
        if self.ours is None:
            return None
        if self.goal.than is None:
            return self.ours.median
        return self.ours.median / self.other.median if self.other and self.other.median else None

    @property
    def is_reached(self) -> bool:
        """Whether the medians say so."""
        if self.value is None:
            return False
        return self.value <= self.goal.bound if self.goal.at_most else self.value >= self.goal.bound


def answers(results: Results) -> list[Answer]:
    """Every goal, in the order of the list."""
    return [Answer(goal, goal.ours(results), goal.than(results) if goal.than else None) for goal in GOALS]


def short_answer(results: Results) -> str:
    """The first table of the page; what it lacks, and what speaks against its figures, stands around it."""
    every = answers(results)
    lines = [_line(one, one.value) for one in every if one.value is not None]
    missing = [one.goal.name for one in every if one.value is None]
    if not lines:
        return NOT_MEASURED
    table = markdown(["", "goal", "measured", "medians", ""], lines)
    below = [f"Not measured in this run: {'; '.join(missing)}."] if missing else []
    return "\n\n".join([*_doubts(results), table, *below])


def _doubts(results: Results) -> Iterator[str]:
    """Why the figures of this run should not be quoted."""
    if results.rounds < _ROUNDS:
        yield f"**Rounds: {results.rounds}.** Fewer than {_ROUNDS} say little: repeat before you quote."
    loads = [share for one in results.measurements for share in one.load]
    if loads and (often := sum(share > _LOAD for share in loads)):
        yield (
            f"**Other programs used the machine**: more than {_LOAD:.0%} of it in {often} of {len(loads)} "
            f"measurements, {max(loads):.0%} at most. Repeat before you quote."
        )


def _line(answer: Answer, value: float) -> list[str]:
    goal, sign = answer.goal, " x" if answer.goal.than else ""
    shown = number(value)
    if shown == number(goal.bound) and not answer.is_reached:
        shown = f"{value:.5g}"  # a miss by a hair shall not look like a hit
    return [
        goal.name,
        f"{'at most' if goal.at_most else 'at least'} {goal.bound:g}{sign}",
        f"{shown}{sign}",
        _medians(answer),
        "reached" if answer.is_reached else "**not reached**",
    ]


def _medians(answer: Answer) -> str:
    if answer.ours is None or answer.other is None:
        return "-"
    ours, other = number(answer.ours.median), number(answer.other.median)
    return f"{ours} against {other} {answer.ours.unit}: {_title(answer.other, answer.ours)}"


def _title(other: Measurement, mine: Measurement) -> str:
    """The other one's name; its variant, when it is what both differ in."""
    if other.contender == mine.contender:
        return other.variant
    label = aspect_of(other)[1]
    return f"{other.title} ({label})" if label else other.title
