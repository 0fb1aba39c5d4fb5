"""A scheduler whose machine has a wrong clock: `python -m tests.scheduler.skewed`, CLOCK_OFF seconds ahead.

All that Python code can ask for the time is put: `time.time`, `datetime.now` and what is built on them. The
monotonic clock, which nobody can put, stays.
"""

import datetime as dt
import os
import sys
import time
from typing import Any

OFF = dt.timedelta(seconds=float(os.environ["CLOCK_OFF"]))
_REAL = dt.datetime
_time, _time_ns = time.time, time.time_ns


class _Kind(type):
    """Whatever is a datetime is one of ours: drivers make theirs without asking."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _REAL)


class _Skewed(_REAL, metaclass=_Kind):
    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> Any:
        return _REAL.now(tz) + OFF


time.time = lambda: _time() + OFF.total_seconds()
time.time_ns = lambda: _time_ns() + int(OFF.total_seconds() * 1_000_000_000)

import shared.clock  # noqa: E402 - the clocks are put before what reads them is imported
import shared.contracts.envelope  # noqa: E402

for module in (shared.clock, shared.contracts.envelope):
    module.datetime = _Skewed  # pyright: ignore[reportPrivateImportUsage,reportAttributeAccessIssue] - the fault

from scheduler.__main__ import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
