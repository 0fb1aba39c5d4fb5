from __future__ import annotations

import asyncio
import signal
import sys
from datetime import timedelta

import psutil
import pytest
from launching import is_alive, until, until_async

from launcher.process import Command, Process, ignore_line
from launcher.supervisor import Backoff, Child

STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen(["sleep", "60"])
print("ignores SIGTERM", flush=True)
time.sleep(60)
"""
AT_ONCE = timedelta(0)


def python(program: str) -> Command:
    return Command("standin", (sys.executable, "-c", program))


class Sleeper:
    name = "sleeper"

    async def command(self) -> Command:
        return Command(self.name, ("sleep", "60"))

    async def answers(self) -> bool:
        return True


async def test_a_child_that_ignores_sigterm_is_killed_with_all_it_started() -> None:
    lines: list[str] = []
    process = Process.start(python(STUBBORN), lines.append)
    until(lambda: lines, "it ignores SIGTERM")
    family = [process.pid, *(child.pid for child in psutil.Process(process.pid).children())]

    code = await process.stop(AT_ONCE)

    assert code == -signal.SIGKILL
    assert len(family) == 2
    until(lambda: not any(map(is_alive, family)), "nothing is left")


async def test_a_sink_that_fails_does_not_block_its_child() -> None:
    def full_disk(_line: str) -> None:
        raise OSError("no space left on device")

    process = Process.start(python("print('x' * 1_000_000)"), full_disk)

    async with asyncio.timeout(10):
        code = await process.exited()

    assert code == 0


async def test_a_killed_child_is_started_again() -> None:
    said: list[str] = []
    child = Child(Sleeper(), sink=ignore_line, say=said.append, changed=lambda: None, grace=AT_ONCE)
    await child.start()
    first = child.process
    assert first is not None

    await first.kill()

    async def second() -> bool:
        return child.process is not first

    await until_async(second, "it runs again")
    assert said == ["sleeper ended by SIGKILL: started again in 0.1 s"]
    assert child.restarts == 1
    await child.stop()


async def test_a_stopped_child_stays_stopped() -> None:
    child = Child(Sleeper(), sink=ignore_line, say=ignore_line, changed=lambda: None, grace=AT_ONCE)
    await child.start()

    await child.stop()

    assert child.process is not None
    assert child.process.exit_code is not None
    assert child.restarts == 0


@pytest.mark.parametrize(("death", "seconds"), [(1, 0.1), (2, 0.2), (3, 0.4), (6, 3.2), (7, 5), (10_000, 5)])
def test_each_death_doubles_the_wait_up_to_five_seconds(death: int, seconds: float) -> None:
    assert Backoff().delay(death) == timedelta(seconds=seconds)


def test_a_life_of_ten_seconds_is_a_new_beginning() -> None:
    assert Backoff().deaths(5, timedelta(seconds=9)) == 6
    assert Backoff().deaths(5, timedelta(seconds=10)) == 1
