"""`trunkline drill` in its short form: it passes on both buses, and fails where it must."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from launching import ROOT, until

from launcher.data_folder import DataFolder
from launcher.drill.feed import Asked
from launcher.drill.invariants import Figures, judge
from launcher.drill.options import DrillOptions, plan_of
from shared.contracts import CATALOGUE
from shared.contracts import envelope as envelope_of
from shared.jobs import OpenWork

LIMIT_S = 300  # a machine that does other things, too, takes its time
SHORT = ("--seconds", "12", "--jobs", "1000", "--workers", "3", "--seed", "7")


def drill(*options: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv(*options),
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S - 20,
    )


def argv(*options: str) -> list[str]:
    return [sys.executable, "-P", "-m", "launcher", "drill", *SHORT, *options]


def environment(folder: Path) -> dict[str, str]:
    # A user's own servers, which a drill must not touch: it would fail at once with these.
    users = {"REDIS_URL": "redis://127.0.0.1:1", "LEASE": "9"}
    return {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder), **users}


def row(name: str, said: str) -> tuple[int, str]:
    """What was found, and the verdict."""
    found = re.search(rf"^ *{name} +(?:at least )?[\d,]+ +([\d,]+) +(PASS|FAIL)$", said, re.MULTILINE)
    assert found is not None, said
    return int(found[1].replace(",", "")), found[2]


@pytest.mark.timeout(LIMIT_S)
@pytest.mark.parametrize("bus", ["redis", "nats"])
def test_nothing_is_lost_while_workers_gateway_and_bus_are_killed(bus: str, tmp_path: Path) -> None:
    done = drill("--bus", bus, folder=tmp_path)
    if "no zombie was fenced" in done.stdout:
        # On a machine that does other things, too, twelve seconds may be too few for one.
        done = drill("--bus", bus, "--seconds", "30", folder=tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr
    assert row("effects in Postgres", done.stdout) == (1000, "PASS")
    assert row("jobs lost", done.stdout) == row("duplicated", done.stdout) == (0, "PASS")
    assert row("zombies fenced", done.stdout)[0] >= 1
    assert "FAIL" not in done.stdout
    assert [left.name for left in tmp_path.iterdir() if "drill-logs" not in left.name] == []


@pytest.mark.timeout(LIMIT_S)
def test_without_fences_effects_happen_twice_and_the_drill_fails(tmp_path: Path) -> None:
    """The control: what is proved above is proved by the fences."""
    done = drill("--break", "fence", folder=tmp_path)

    assert done.returncode == 1, done.stdout + done.stderr
    assert row("duplicated", done.stdout)[1] == "FAIL"
    assert "effects are there twice" in done.stdout
    # Its logs are kept for whoever has to find out why; nothing else is.
    (kept,) = tmp_path.iterdir()
    assert (kept / "drill.1.log").exists()


def test_ctrl_c_ends_a_drill_and_leaves_nothing_behind(tmp_path: Path) -> None:
    started = subprocess.Popen(
        argv(),
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        until(lambda: [*tmp_path.glob("*/logs/redis.log")], "the drill's system starts")

        started.send_signal(signal.SIGINT)
        said, _ = started.communicate(timeout=60)
    finally:
        started.kill()

    assert started.returncode == 130, said
    assert said.endswith("interrupted: the drill's system is stopped and removed\n")
    assert list(tmp_path.iterdir()) == []


def test_a_drill_takes_no_setting_of_ours_from_around_it(tmp_path: Path) -> None:
    around = {
        "PATH": "/bin",
        "DATABASE_URL": "x",
        "API_KEYS_FILE": "y",
        "LEASE": "9",
        "OTEL_TRACES_EXPORTER": "z",
    }

    plan = plan_of(DrillOptions(bus="nats", workers=2), DataFolder.at(tmp_path), around)

    given = plan.given.variables
    assert given["PATH"] == "/bin"
    assert (given["BUSES"], given["LEASE"]) == ("nats", "3.0")
    assert not {"DATABASE_URL", "API_KEYS_FILE", "OTEL_TRACES_EXPORTER", "NATS_URL"} & set(given)
    assert plan.counts == {"gateway": 1, "drill": 2}


def test_what_is_asked_keeps_the_contract() -> None:
    asked = Asked(3, "01920000-0000-7000-8000-000000000001").to_json()
    data = asked.pop("data")

    event = CATALOGUE.check(envelope_of(asked, b'{"n": %d}' % data["n"]))

    assert event.model_dump() == {"n": 3}


GOOD = Figures(
    jobs=10,
    accepted=10,
    in_ledger=10,
    states={"succeeded": 10},
    final=10,
    effects=10,
    effective_jobs=10,
    left=OpenWork("drill.write", 0, 0, 0, 0, 0),
    kills={},
    pauses=1,
    restarts=1,
    repeated=0,
    span=None,
    longest_gap=None,
    fenced=1,
)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"accepted": 9}, "9 of 10 events were accepted"),
        ({"in_ledger": 9}, "9 of 10 events are in the ledger"),
        ({"final": 9, "states": {"succeeded": 9}}, "1 jobs never came to an end"),
        ({"states": {"succeeded": 9, "dead": 1}}, "1 jobs ended as something else than succeeded"),
        ({"effects": 9, "effective_jobs": 9}, "9 of 10 jobs had their effect"),
        ({"effects": 11}, "1 effects are there twice"),
        ({"left": OpenWork("drill.write", 0, 0, 0, 2, 0)}, "left is drill.write: 2 on redis"),
        ({"fenced": 0}, "no zombie was fenced"),
    ],
)
def test_each_invariant_fails_alone(change: dict[str, object], fault: str) -> None:
    broken = [one for one in judge(replace(GOOD, **change)) if not one.holds]  # pyright: ignore[reportArgumentType]

    assert all(one.holds for one in judge(GOOD))
    assert len(broken) == 1
    assert broken[0].fault.startswith(fault)
