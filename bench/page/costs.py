"""Results in, the measured terms of the cost model out, and what they say of some loads (docs/scaling.md)."""

import math
from collections.abc import Sequence
from typing import Final

from bench.page.contestants import OURS_ON_NATS
from bench.page.goals import ONE, Pick, ours
from bench.page.table import NOT_MEASURED, markdown, number, spread
from bench.result import Measurement, Results

_TERMS: Final[Sequence[tuple[str, str, Pick]]] = (
    ("r", "jobs of one worker process, handler without work, on Redis", ours("drain", ONE)),
    ("", "the same on NATS", ours("drain", ONE, contender=OURS_ON_NATS)),
    ("", "of two worker processes on Redis", ours("drain", "2 processes")),
    ("", "of one process whose jobs await 10 ms, concurrency 256", ours("awaited")),
    ("g", "requests of one gateway process, `POST /v1/events` with its commit", ours("door")),
    ("", "jobs enqueued in bulk by one process", ours("enqueue_many")),
    ("m", "memory of an idle worker (RSS)", ours("rss")),
    ("", "CPU of an idle worker", ours("idle_cpu")),
    ("", "commands of an idle worker to Redis", ours("idle_commands")),
)
_LOADS: Final = (100, 1_000, 10_000)
_OWN_WORK_MS: Final = (0, 1, 10)
_FULL: Final = 0.7
"""How busy a process may be on average: what is above it waits noticeably, and a burst finds no room."""


def terms(results: Results) -> str:
    """A line for each term that was measured."""
    lines = [
        [name, what, f"{spread(one)} {one.unit}"] for name, what, pick in _TERMS if (one := pick(results))
    ]
    if not lines:
        return NOT_MEASURED
    return markdown(["", "", "measured"], lines)


def processes(results: Results) -> str:
    """How many worker processes some loads need, by the model and the measured rate."""
    rate: Measurement | None = ours("drain", ONE)(results)
    if rate is None:
        return NOT_MEASURED
    lines = [
        [f"{load:,} jobs/s", *(f"{needed(load, rate.median, own / 1000)}" for own in _OWN_WORK_MS)]
        for load in _LOADS
    ]
    table = markdown(["", *(f"{own} ms of its own CPU a job" for own in _OWN_WORK_MS)], lines)
    return f"{table}\n\nWith r = {number(rate.median)} jobs/s, and processes busy {_FULL:.0%} of the time."


def needed(load: float, rate: float, own_s: float) -> int:
    """Processes for `load` jobs/s whose handler takes `own_s` of CPU, where one without work does `rate`."""
    return math.ceil(load * (1 / rate + own_s) / _FULL)
