"""Durations as histograms: milliseconds in, buckets out; buckets in, percentiles out. Pure.

Each bucket is a fifth wider than the one before, so a percentile is within 10 % of the true one.
"""

import math
from collections.abc import Sequence
from typing import Final

_GROWTH: Final = math.log(1.2)
_LAST: Final = 120
"""The bucket of all that is longer than a month."""


def bucket_of(ms: float) -> int:
    """The bucket of a duration; the first holds what is shorter than a millisecond."""
    if ms < 1:
        return 0
    return min(int(math.log(ms) / _GROWTH + 1e-9) + 1, _LAST)


def percentile(counts: Sequence[int], share: float) -> int | None:
    """The duration in ms that this share of them does not exceed; None when there are none."""
    total = sum(counts)
    if not total:
        return None
    rank = math.ceil(total * share)
    for bucket, count in enumerate(counts):
        rank -= count
        if rank <= 0:
            return round(math.exp((bucket - 0.5) * _GROWTH)) if bucket else 0
    return None


def add_to(counts: list[int], more: Sequence[int]) -> None:
    """Add the second histogram to the first, which grows as needed."""
    counts.extend([0] * (len(more) - len(counts)))
    for bucket, count in enumerate(more):
        if count:
            counts[bucket] += count
