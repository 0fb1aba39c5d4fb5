"""`trunkline` as a process: on a terminal, interrupted, completing, and what its help costs."""

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from operating import System
from typer.testing import CliRunner

from launcher.cli import app

ROOT = Path(__file__).parents[3]
COMMAND = [sys.executable, "-m", "launcher"]


def _environment(system: System | None = None, **extra: str) -> dict[str, str]:
    known = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
    given = {"TRUNKLINE_URL": system.url, "TRUNKLINE_API_KEY": "all-of-it"} if system else {}
    return known | given | {"PYTHONPATH": str(ROOT), "TERM": "xterm"} | extra


def _on_a_terminal(system: System, *words: str, width: int) -> str:
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 30, width, 0, 0))
    with subprocess.Popen(
        [*COMMAND, *words], stdin=its, stdout=its, stderr=its, env=_environment(system)
    ) as run:
        os.close(its)
        said = b""
        try:
            while part := os.read(ours, 65536):
                said += part
        except OSError:  # Linux says so when the other end is closed
            pass
        os.close(ours)
    assert run.returncode == 0, said
    return said.decode()


def test_on_a_terminal_a_list_is_a_table_with_whole_ids(system: System) -> None:
    job_id = system.publish()

    said = _on_a_terminal(system, "jobs", "ls", width=60)

    assert "STATE" in said
    assert job_id in said


def test_watching_on_a_terminal_ends_with_the_job_as_it_is(system: System) -> None:
    job_id = system.publish()

    said = _on_a_terminal(system, "jobs", "watch", job_id, width=80)

    assert "succeeded" in said
    assert '{"sent":"m-1"}' in said


def test_ctrl_c_ends_a_watch_quietly_with_130(system: System) -> None:
    system.run("handlers", "pause", "lab.send")
    words = [
        "events",
        "publish",
        "email.requested",
        '{"email_id":"m","to":"a@b.de","subject":"s","text":"t"}',
    ]
    job_id = system.run(*words, "--json").json["jobs"][0]["id"]

    with subprocess.Popen(
        [*COMMAND, "jobs", "watch", job_id],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=_environment(system, PYTHONUNBUFFERED="1"),
    ) as run:
        assert run.stdout is not None
        first = run.stdout.readline()
        run.send_signal(signal.SIGINT)
        _, errors = run.communicate(timeout=60)
    system.run("handlers", "resume", "lab.send")

    assert first.split(b"\t")[:2] == [job_id.encode(), b"queued"]
    assert (run.returncode, errors) == (130, b"")


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("trunkline handlers pause la", "lab.greet"),
        ("trunkline jobs ls --state que", "queued"),
        ("trunkline jobs ls --worker lab", "lab-"),
        ("trunkline schedules show of", "often"),
        ("trunkline jo", "jobs"),
        ("trunkline jobs ex", "explain"),
    ],
)
def test_words_are_completed_from_the_running_system(system: System, typed: str, offered: str) -> None:
    system.run("schedules", "add", "often", "--type", "cron.health_check", "--every", "1d")

    ran = CliRunner().invoke(app, prog_name="trunkline", env=_environment(system) | _typed(typed))

    assert offered in ran.stdout


def test_completion_without_a_system_is_silent() -> None:
    environment = _environment() | {"TRUNKLINE_URL": "http://127.0.0.1:1"}

    ran = subprocess.run(
        COMMAND,
        env=environment | _typed("trunkline handlers pause "),
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ran.stdout.strip(), ran.stderr) == ("", "")


def test_help_loads_none_of_the_commands() -> None:
    help_page = "import sys; from typer.testing import CliRunner; from launcher.cli import app;"
    printed = "print(CliRunner().invoke(app, ['--help']).stdout);"
    loaded = "print({'httpx', 'rich', 'shared.api', 'launcher.operate.jobs'} & sys.modules.keys())"

    said = subprocess.run(
        [sys.executable, "-c", help_page + printed + loaded],
        env=_environment(),
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert "jobs" in said
    assert "Exit codes" in said
    assert said.splitlines()[-1] == "set()"


def _typed(text: str) -> dict[str, str]:
    place = len(text.split(" ")) - 1
    return {"_TRUNKLINE_COMPLETE": "complete_bash", "COMP_WORDS": text, "COMP_CWORD": str(place)}
