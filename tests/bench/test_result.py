"""What a run found: kept as JSON, rounds put together."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from bench.result import Machine, Measurement, Results, merge, percentile
from bench.table import number, table

DRAIN = Measurement(
    figure="drain",
    contender="saq",
    title="SAQ",
    variant="1 process",
    unit="jobs/s",
    values=[2_400.0, 2_100.0, 2_900.0],
    load=[0.02, 0.2, 0.0],
)
RESULTS = Results(
    taken_at=datetime(2026, 11, 23, 4, 0, tzinfo=UTC),
    machine=Machine(
        cores=2,
        cpu="Example 3000",
        memory_gb=8.2,
        kernel="Linux 6.8",
        python="3.11.9",
        load=[0.5, 0.4, 0.3],
        steal=0.01,
    ),
    versions={"saq": "0.26.1", "Redis": "8.2.3"},
    rounds=3,
    took_s=700.0,
    measurements=[DRAIN],
    notes={"saq": "concurrency 256"},
    failures=["drain, RQ, round 2: no first job within 30 s"],
)


def test_results_are_the_same_after_they_were_saved(tmp_path: Path) -> None:
    RESULTS.save(tmp_path / "results.json")

    assert Results.load(tmp_path / "results.json") == RESULTS


def test_json_that_is_no_result_is_refused(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text('{"measurements": []}')

    with pytest.raises(msgspec.ValidationError, match="taken_at"):
        Results.load(tmp_path / "results.json")


def test_a_measurement_tells_its_median_and_spread() -> None:
    assert (DRAIN.median, DRAIN.least, DRAIN.most) == (2_400.0, 2_100.0, 2_900.0)


def test_rounds_are_put_together_by_figure_contender_and_variant() -> None:
    def one(value: float, variant: str) -> Measurement:
        return msgspec.structs.replace(DRAIN, values=[value], load=[value / 10], variant=variant)

    merged = merge([one(1, "tuned"), one(2, ""), one(3, "tuned")])

    assert [(m.variant, m.values, m.load) for m in merged] == [
        ("tuned", [1, 3], [0.1, 0.3]),
        ("", [2], [0.2]),
    ]


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(n) for n in range(100, 0, -1)]

    assert [percentile(values, share) for share in (0.5, 0.99, 1.0)] == [50.0, 99.0, 100.0]


def test_the_table_shows_each_measurement_and_what_is_missing() -> None:
    lines = table(RESULTS).splitlines()

    assert "| drain | SAQ | 1 process | 2,400 | 2,100 | 2,900 | jobs/s | 20% |" in lines
    assert lines[-1] == "- drain, RQ, round 2: no first job within 30 s"


@pytest.mark.parametrize(("value", "shown"), [(12_345.6, "12,346"), (99.94, "99.9"), (1.5, "1.5"), (0, "0")])
def test_a_number_has_the_digits_that_tell_something(value: float, shown: str) -> None:
    assert number(value) == shown
