"""A measurement in, who it is of out: us, a peer, or what Redis and Python allow."""

import enum
from typing import Final

from bench.result import Measurement


class Side(enum.Enum):
    """Whose figure it is."""

    OURS = "ours"
    PEER = "peer"
    LIMIT = "limit"
    """Not a job system but the least that the same work costs: a raw loop, an empty route."""


OURS: Final = "trunkline"
"""The contender that goals and comparisons speak of: Trunkline on Redis."""
OURS_ON_NATS: Final = "trunkline_nats"
_LIMITS: Final = frozenset({"bare", "xadd"})
_POP: Final = frozenset({"huey"})  # takes a job off its list before it runs: a worker's death loses it


def side_of(one: Measurement) -> Side:
    """Whose it is, by the contender's name."""
    if one.contender.startswith(OURS):
        return Side.OURS
    if one.contender.startswith("floor") or one.contender in _LIMITS:
        return Side.LIMIT
    return Side.PEER


def acknowledges(one: Measurement) -> bool:
    """Whether a job outlives the worker that runs it."""
    return one.contender not in _POP
