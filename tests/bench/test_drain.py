"""The harness itself, on the floor: real servers, a real worker, nothing of ours to blame."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench.entrants import entrants
from bench.figures import drain
from bench.plan import Scale, take
from bench.run import Run
from bench.stage import Preloads


@pytest.fixture
async def run(tmp_path: Path) -> Run:
    found, failures = await entrants(["floor_state"])
    assert failures == []
    scale = replace(Scale.quick(), jobs=500)
    return Run(
        entrants=found,
        scale=scale,
        preloads=Preloads(tmp_path, jobs=scale.jobs, limit_s=scale.preload_limit_s),
    )


async def test_a_drain_is_measured_and_its_states_are_checked(run: Run) -> None:
    (step, *_) = drain.steps(run)

    measurements, failures = await take([step], 2)

    assert failures == []
    (measured,) = measurements
    assert (measured.figure, measured.contender, measured.variant) == ("drain", "floor_state", "1 process")
    assert measured.note == "status and result of all jobs checked"
    assert len(measured.values) == 2
    assert all(value > 0 for value in measured.values)
