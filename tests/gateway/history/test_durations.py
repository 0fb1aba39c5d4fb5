"""Durations as histograms: percentiles are within a tenth of the true ones."""

import random

import pytest

from gateway.history.durations import add_to, bucket_of, percentile


def histogram(durations_ms: list[float]) -> list[int]:
    counts: list[int] = []
    for ms in durations_ms:
        add_to(counts, [0] * bucket_of(ms) + [1])
    return counts


@pytest.mark.parametrize("share", [0.5, 0.95])
@pytest.mark.parametrize("scale_ms", [20, 1_000, 60_000, 86_400_000])
def test_a_percentile_is_within_a_tenth_of_the_true_one(scale_ms: int, share: float) -> None:
    chance = random.Random(scale_ms)  # noqa: S311 - the same numbers in each run
    durations = sorted(scale_ms * chance.lognormvariate(0, 0.5) for _ in range(999))

    found = percentile(histogram(durations), share)

    true = durations[round(999 * share + 0.5) - 1]
    assert found == pytest.approx(true, rel=0.1, abs=0.6)


def test_each_bucket_begins_where_the_one_before_ends() -> None:
    assert [bucket_of(ms) for ms in (-5, 0, 0.9, 1, 1.19, 1.2, 1.44)] == [0, 0, 0, 1, 1, 2, 3]
    assert bucket_of(1e30) == bucket_of(1e31)


def test_what_is_not_there_has_no_percentile_and_what_took_no_time_took_none() -> None:
    assert percentile([], 0.5) is None
    assert percentile([0, 0], 0.5) is None
    assert percentile([1], 0.95) == 0
    assert [percentile(histogram([ms]), 0.5) for ms in (1, 2, 3, 10)] == [1, 2, 3, 10]
