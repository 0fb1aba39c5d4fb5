"""The goals: which of our figures is held against which other, or against a bound."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bench.page.contestants import OURS, OURS_ON_NATS, Side, acknowledges, side_of
from bench.result import Measurement, Results

Pick = Callable[[Results], Measurement | None]


@dataclass(frozen=True)
class Goal:
    """`ours` against a bound, or against the median of `than` times the bound."""

    name: str
    ours: Pick
    bound: float
    than: Pick | None = None
    at_most: bool = False


def ours(figure: str, *words: str, contender: str = OURS) -> Pick:
    """Our measurement of a figure whose variant has all these words; the plainest of them."""

    def pick(results: Results) -> Measurement | None:
        found = [
            one for one in results.of(figure)
            if one.contender == contender and all(word in one.variant for word in words)
        ]  # fmt: skip
        return min(found, key=lambda one: len(one.variant), default=None)

    return pick


def best(figure: str, keep: Callable[[Measurement], bool], *words: str, least: bool = False) -> Pick:
    """The best of those that `keep` lets pass."""

    def pick(results: Results) -> Measurement | None:
        found = [
            one for one in results.of(figure) if keep(one) and all(word in one.variant for word in words)
        ]
        choose = min if least else max
        return choose(found, key=lambda one: one.median, default=None)

    return pick


def _peer(one: Measurement) -> bool:
    return side_of(one) is Side.PEER


def _acking_peer(one: Measurement) -> bool:
    return _peer(one) and acknowledges(one)


def _raw(one: Measurement) -> bool:
    return side_of(one) is Side.LIMIT


def _named(*contenders: str) -> Callable[[Measurement], bool]:
    return lambda one: one.contender in contenders


ONE: Final = "1 process"
_DRAIN: Final = ours("drain", ONE)

GOALS: Final = (
    Goal(
        "drain, against the fastest peer that acknowledges",
        _DRAIN,
        4,
        best("drain", _acking_peer, ONE),
    ),
    Goal("drain, against Huey at its best placement", _DRAIN, 2, best("drain", _named("huey"), ONE)),
    Goal("drain, of the raw loop that keeps results", _DRAIN, 0.6, best("drain", _named("floor_state"), ONE)),
    Goal(
        "drain with every span exported, against the fastest peer without",
        ours("guarantees", "tracing 100 %"),
        2,
        best("drain", _peer, ONE),
    ),
    Goal("drain on NATS, of that on Redis", ours("drain", ONE, contender=OURS_ON_NATS), 0.6, _DRAIN),
    Goal("drain by two processes, against one", ours("drain", "2 processes"), 1.6, _DRAIN),
    Goal("drain with 10 ms awaited, of the raw loop", ours("awaited"), 0.7, best("awaited", _raw)),
    Goal("HTTP door with its commit, of an empty route", ours("door"), 0.5, best("door", _named("bare"))),
    Goal("HTTP door, against the fastest FastAPI route that enqueues", ours("door"), 1, best("door", _peer)),
    Goal("HTTP request to the handler's start, p50, ms", ours("door_start_p50"), 6, at_most=True),
    Goal("enqueue in bulk, against the fastest peer", ours("enqueue_many"), 1, best("enqueue_many", _peer)),
    Goal("enqueue in bulk, of the raw pipeline", ours("enqueue_many"), 0.5, best("enqueue_many", _raw)),
    Goal(
        "pickup p50, against the best peer",
        ours("pickup_p50"),
        1,
        best("pickup_p50", _peer, least=True),
        at_most=True,
    ),
    Goal("pickup p99, ms", ours("pickup_p99"), 5, at_most=True),
    Goal("RSS of a worker, MB", ours("rss"), 90, at_most=True),
    Goal("idle CPU, % of a core", ours("idle_cpu"), 0.5, at_most=True),
    Goal(
        "drain with 1 M waiting, of that with 10 k",
        ours("backlog_drain", "redis, 1,000,000 more"),
        0.9,
        ours("backlog_drain", "redis, 10,000 more"),
    ),
)
