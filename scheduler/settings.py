"""What the scheduler reads from the environment, beside what every process reads."""

from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from typing import Annotated

from pydantic import Field

from shared.settings import Duration, Secret, Settings


class SchedulerSettings(Settings):
    """The settings of one scheduler process."""

    database_url: Secret = Secret("postgresql://127.0.0.1:5432/trunkline")
    """Postgres: schedules, their ticks, and the events that wait for a bus. Its clock is the scheduler's."""
    database_pool_size: Annotated[int, Field(ge=2, le=50)] = 5
    """How many connections to Postgres are kept."""
    schedules_file: Path | None = None
    """The schedules that a new system has (TOML); unset: those that come with the scheduler."""
    schedules_poll: Duration = timedelta(seconds=1)
    """How often is looked for schedules that were added or edited; no known tick waits for it."""
    ticks_ttl: Duration = timedelta(days=30)
    """How long the ledger keeps a tick."""
    ticks_kept: Annotated[int, Field(ge=1)] = 10_000
    """How many ticks of one schedule the ledger keeps, the latest."""

    @property
    def seeds(self) -> Path:
        """The file of the schedules that a new system has."""
        return self.schedules_file or Path(str(files("scheduler") / "schedules.toml"))
