"""`python -m scheduler`: fire schedules until SIGTERM; a wrong setting is one line and exit code 2."""

import logging
import sys

import uvloop

from scheduler.app import Scheduler
from scheduler.settings import SchedulerSettings
from shared.errors import SettingsError


def main() -> int:
    """The exit code: 0 after SIGTERM or Ctrl-C, 2 when a setting or the file of schedules is wrong."""
    try:
        scheduler = Scheduler(SchedulerSettings.load())
    except SettingsError as error:
        print(f"scheduler: {error}", file=sys.stderr)  # noqa: T201 - no log is configured yet
        return 2
    # At info SQLAlchemy logs every statement.
    logging.getLogger("sqlalchemy").setLevel(logging.WARNING)
    uvloop.run(scheduler.main())
    return 0


if __name__ == "__main__":
    sys.exit(main())
