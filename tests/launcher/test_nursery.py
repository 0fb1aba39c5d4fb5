"""Services forked from one warm process are what programs of their own would be."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import AsyncGenerator, Callable
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from launching import ROOT, is_alive, until

from launcher.nursery import Nursery
from launcher.process import Command, Process, ignore_line
from launcher.services import SERVICES

GRACE = timedelta(seconds=10)
TELLS = """
import json, os, random, sys, threading, uuid
import uuid_utils
print(json.dumps({
    "name": __name__, "argv": sys.argv[1:], "environment": dict(os.environ),
    "session": os.getsid(0), "drawn": [random.random(), str(uuid.uuid4()), str(uuid_utils.uuid7())],
    "descriptors": sorted(map(int, os.listdir("/proc/self/fd")))[:-1], "threads": threading.active_count(),
}))
"""
WAITS = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
print("waits", flush=True)
signal.pause()
"""
FAILS = "raise LookupError('no such thing')"

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere services are programs of their own"
)
Run = Callable[..., Process]


@pytest.fixture
async def nursery(tmp_path: Path) -> AsyncGenerator[Nursery]:
    for name, program in {"tells": TELLS, "waits": WAITS, "fails": FAILS}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
        (tmp_path / name / "__main__.py").write_text(program)
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    nursery = Nursery(["tells", "waits", "fails"], {**os.environ, "PYTHONPATH": path}, ignore_line)
    await nursery.warm()
    yield nursery
    await nursery.stop()


@pytest.fixture
def run(nursery: Nursery) -> Run:
    def start(module: str, sink: Callable[[str], None] = ignore_line, **env: str) -> Process:
        argv = (sys.executable, "-P", "-m", module)
        return Process.start(Command(module, argv, env=env, start=nursery.start), sink)

    return start


async def test_a_fork_has_the_name_the_environment_and_the_session_of_a_program_of_its_own(run: Run) -> None:
    process = run("tells", GREETING="hello")

    assert await process.exited() == 0
    told = json.loads(process.last_lines()[-1])
    assert (told["name"], told["argv"]) == ("__main__", [])
    assert told["environment"] == {"GREETING": "hello"}
    assert (told["session"], told["threads"]) == (process.pid, 1)


async def test_a_fork_has_no_open_file_of_the_nursery_or_of_another_fork(run: Run) -> None:
    running = run("waits")
    process = run("tells")

    await process.exited()
    assert json.loads(process.last_lines()[-1])["descriptors"] == [0, 1, 2]
    await running.kill()


async def test_what_two_forks_draw_at_random_differs(run: Run) -> None:
    first, second = run("tells"), run("tells")

    await first.exited()
    await second.exited()
    drawn = [json.loads(process.last_lines()[-1])["drawn"] for process in (first, second)]
    assert not set(drawn[0]) & set(drawn[1])


async def test_a_fork_is_shown_by_its_own_command(run: Run) -> None:
    process = run("waits")

    until(process.last_lines, "it runs")
    assert [word for word in psutil.Process(process.pid).cmdline() if word][1:] == ["-P", "-m", "waits"]
    await process.kill()


async def test_a_fork_that_raises_ends_with_its_traceback_and_1(run: Run) -> None:
    process = run("fails")

    assert await process.exited() == 1
    assert process.last_lines()[-1] == "LookupError: no such thing"


async def test_a_fork_ends_by_signals_as_a_program_does(run: Run) -> None:
    asked, killed = run("waits"), run("waits")
    for process in (asked, killed):
        until(process.last_lines, "it runs")

    assert await asked.stop(GRACE) == 7
    assert await killed.kill() == -signal.SIGKILL


async def test_forks_die_with_the_nursery_and_the_next_has_a_new_one(nursery: Nursery, run: Run) -> None:
    process = run("waits")
    parent = psutil.Process(process.pid).ppid()

    os.kill(parent, signal.SIGKILL)

    assert await process.exited() == -signal.SIGKILL
    until(lambda: not is_alive(process.pid), "the fork is gone")
    with pytest.raises(ChildProcessError, match="did not fork waits"):
        run("waits")
    await nursery.warm()
    again = run("waits")
    assert psutil.Process(again.pid).ppid() != parent


async def test_nothing_that_the_services_import_starts_a_thread() -> None:
    modules = [service.module for service in SERVICES]
    nursery = Nursery(modules, {**os.environ, "PYTHONPATH": str(ROOT)}, ignore_line)

    await nursery.warm()

    (warm,) = (child for child in psutil.Process().children() if "launcher.warm" in child.cmdline())
    assert (warm.num_threads(), warm.net_connections()) == (1, [])
    await nursery.stop()
