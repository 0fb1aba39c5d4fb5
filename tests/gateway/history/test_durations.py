"""Durations as histograms: percentiles are within a tenth of the true ones."""

import random

import pytest

from gateway.history.durations import histogram_of, percentiles


def percentile(durations_ms: list[float], share: float) -> int | None:
    """That of the histograms' sum, as Postgres tells it."""
    return percentiles(str(sum(histogram_of(ms) for ms in durations_ms)), share)[0]


@pytest.mark.parametrize("share", [0.5, 0.95])
@pytest.mark.parametrize("scale_ms", [20, 1_000, 60_000, 86_400_000])
def test_a_percentile_is_within_a_tenth_of_the_true_one(scale_ms: int, share: float) -> None:
    chance = random.Random(scale_ms)  # noqa: S311 - the same numbers in each run
    durations = sorted(scale_ms * chance.lognormvariate(0, 0.5) for _ in range(999))

    found = percentile(durations, share)

    true = durations[round(999 * share + 0.5) - 1]
    assert found == pytest.approx(true, rel=0.1, abs=0.6)


def test_each_bucket_begins_where_the_one_before_ends() -> None:
    below, at = [histogram_of(ms) for ms in (-5, 0, 0.9)], [histogram_of(ms) for ms in (1, 1.19, 1.2, 1.44)]

    assert below == [1, 1, 1]
    assert at == [1_00000001, 1_00000001, 1_00000001_00000001, 1_00000001_00000001_00000001]
    assert histogram_of(1e30) == histogram_of(1e31)
    assert percentile([1e31], 0.5) == pytest.approx(2.9e9, rel=0.1)


def test_many_durations_of_a_bucket_do_not_reach_into_the_next() -> None:
    histogram = str(histogram_of(10) * 90_000_000 + histogram_of(20) * 9_999_999)

    assert percentiles(histogram, 0.5, 0.9, 0.91) == [10, 10, 20]


def test_what_is_not_there_has_no_percentile_and_what_took_no_time_took_none() -> None:
    assert percentiles("0", 0.5, 0.95) == [None, None]
    assert percentile([0], 0.95) == 0
    assert [percentile([ms], 0.5) for ms in (1, 2, 3, 10)] == [1, 2, 3, 10]
