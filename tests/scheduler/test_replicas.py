"""Several schedulers: they die, one's clock is wrong, and every tick of every schedule comes once."""

import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from scheduler.settings import SchedulerSettings
from shared.schedules import Definition, book
from tests.scheduler.conftest import Query, published
from tests.until import until

SCHEDULES = 200
TWO_HOURS_S = 7200
BUSY_S = 90  # seven processes start: on a busy machine that alone may take a minute


class Replicas:
    """Processes of the scheduler."""

    def __init__(self, settings: SchedulerSettings, log: Path) -> None:
        self._log = log.open("wb")
        self._environment = os.environ | {
            "REDIS_URL": settings.redis_url.get_secret_value(),
            "DATABASE_URL": settings.database_url.get_secret_value(),
            "SCHEDULES_FILE": str(settings.schedules_file),
            "BUSES": "redis",
            "SCHEDULES_POLL": "0.2",
            "LOG_LEVEL": "warning",
            "LOG_FORMAT": "json",
        }
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self, *, clock_off_s: float = 0) -> None:
        module = "tests.scheduler.skewed" if clock_off_s else "scheduler"
        environment = self._environment | {"CLOCK_OFF": str(clock_off_s)}
        self.running.append(
            subprocess.Popen(
                [sys.executable, "-m", module], env=environment, stderr=self._log, stdout=self._log
            )
        )

    def kill(self, number: int) -> None:
        process = self.running.pop(number)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def stop(self) -> list[int]:
        """The exit codes of those that were not killed."""
        for process in self.running:
            process.terminate()
        codes = [process.wait(timeout=60) for process in self.running]
        self.running.clear()
        self._log.close()
        return codes


@contextmanager
def replicas(settings: SchedulerSettings, log: Path) -> Generator[Replicas]:
    started = Replicas(settings, log)
    try:
        yield started
    finally:
        for process in started.running:
            process.kill()
            process.wait()


@pytest.mark.timeout(300)
async def test_each_tick_comes_once_whoever_dies_and_whatever_a_clock_says(
    settings: SchedulerSettings, engine: AsyncEngine, query: Query, redis_url: str, tmp_path: Path
) -> None:
    usual = {"type": "cron.health_check", "misfire": "fire_all"}
    definitions = [{"name": f"s-{n:03}", "every": 1 + n % 2, **usual} for n in range(SCHEDULES)]
    async with engine.begin() as connection:
        await book.seed(connection, [Definition.model_validate(fields) for fields in definitions])
    [begin] = await query("SELECT min(next_at) AS at FROM scheduler.schedules")

    async def passed(seconds: float) -> bool:
        """That every schedule has decided its ticks up to so long after the first."""
        rows = await query(
            "SELECT FROM scheduler.schedules WHERE next_at <= $1", begin["at"] + timedelta(seconds=seconds)
        )
        return not rows

    async def all_published() -> bool:
        return not await query("SELECT FROM scheduler.ticks WHERE published_at IS NULL")

    with replicas(settings, tmp_path / "replicas.log") as some:
        for off in (0, 0, 0, TWO_HOURS_S, -TWO_HOURS_S):
            some.start(clock_off_s=off)
        await until(lambda: passed(0), within=BUSY_S)
        for n in (0, 1):
            some.kill(n)
            some.start()
            await until(lambda n=n: passed(2 + 2 * n), within=BUSY_S)
        some.kill(0)  # of the first five live only those with a wrong clock, and what was started since
        await until(lambda: passed(7), within=BUSY_S)
        await until(all_published, within=BUSY_S)
        codes = some.stop()
        end = (await query("SELECT max(tick) AS at FROM scheduler.ticks"))[0]["at"]

    ticks = await query("SELECT schedule, tick, fired, event_id FROM scheduler.ticks")
    found = {(row["schedule"], row["tick"]) for row in ticks}
    for n in range(SCHEDULES):
        period = timedelta(seconds=1 + n % 2)
        own = sorted(tick for name, tick in found if name == f"s-{n:03}")
        assert own == [own[0] + i * period for i in range(len(own))], "a gap"
        assert own[0] - begin["at"] < 2 * period
        assert end - own[-1] < 2 * period + timedelta(seconds=2)
    assert all(row["fired"] for row in ticks)
    sent = await published(redis_url)
    assert len(sent) == len(ticks)
    assert set(sent) == {str(row["event_id"]) for row in ticks}
    assert codes[:2] == [0, 0]  # the others may not have come up yet
