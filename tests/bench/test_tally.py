"""The tally of workers: hits in processes of their own in, one count out."""

import subprocess
import sys
from pathlib import Path

import pytest

from bench import tally

HITS = "from bench import tally; [tally.hit() for _ in range(1000)]; tally.latency(7); tally.latency(8)"
FORKS = "import os; from bench import tally; tally.hit(); os.fork(); tally.hit()"


def run(program: str, folder: Path) -> None:
    root = Path(__file__).parents[2]
    environment = {"PYTHONPATH": str(root), tally.FOLDER: str(folder)}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=60)


def test_hits_and_latencies_of_all_processes_are_summed_up(tmp_path: Path) -> None:
    run(HITS, tmp_path)
    run(HITS, tmp_path)

    count = tally.read(tmp_path)
    assert (count.jobs, tally.processes(tmp_path)) == (2_000, 2)
    assert 0 < count.first_ns < count.last_ns
    assert sorted(tally.read_latencies(tmp_path)) == [7, 7, 8, 8]


def test_a_forked_process_keeps_a_tally_of_its_own(tmp_path: Path) -> None:
    run(FORKS, tmp_path)

    assert tally.processes(tmp_path) == 2
    assert tally.read(tmp_path).jobs == 3


def test_latencies_can_be_forgotten_while_a_process_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(tally.FOLDER, str(tmp_path))
    monkeypatch.setattr(tally, "_page", None)
    tally.latency(1)

    tally.forget_latencies(tmp_path)
    tally.latency(2)

    assert tally.read_latencies(tmp_path) == [2]


def test_the_rate_is_of_the_jobs_after_the_first() -> None:
    assert tally.Count(jobs=101, first_ns=10**9, last_ns=3 * 10**9).per_s == 50.0
    assert tally.Count().per_s == 0.0


def test_nothing_is_tallied_where_no_folder_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(tally.FOLDER, raising=False)
    monkeypatch.setattr(tally, "_page", None)

    tally.hit()
    tally.latency(1)
