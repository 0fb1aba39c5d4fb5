"""A job's end, waited for: an id and a limit in, the job as it is then out."""

import re
from collections.abc import Sequence
from datetime import timedelta
from time import monotonic
from typing import Any, Final

from gateway.history.jobs import Jobs
from gateway.history.live import LiveJobs
from shared.jobs import State

LONGEST_WAIT: Final = timedelta(seconds=30)

# The log wakes us; should it fail to, a second is the longest that we are late.
_LOOK_AGAIN_EVERY_S: Final = 1.0

_WAIT: Final = re.compile(r'wait\s*=\s*"?(\d{1,9})"?\s*(?:;.*)?', re.IGNORECASE)


async def until_final(jobs: Jobs, live: LiveJobs, job_id: str, limit: timedelta) -> dict[str, Any] | None:
    """The job when it is final or the limit is over; None when nobody knows it."""
    ends_at = monotonic() + limit.total_seconds()
    with live.watch(job_id) as watch:
        while True:
            job = await jobs.get(job_id)
            left_s = ends_at - monotonic()
            if job is None or is_final(job) or left_s <= 0 or live.is_stopped:
                return job
            await watch.changed(timedelta(seconds=min(left_s, _LOOK_AGAIN_EVERY_S)))


def is_final(job: dict[str, Any]) -> bool:
    """Whether the job will never change again by itself."""
    return State(job["state"]).is_final


def preferred_wait(headers: Sequence[str]) -> timedelta | None:
    """The wait that `Prefer: respond-async, wait=10` asks for, 30 s at most; None without one (RFC 7240)."""
    for header in headers:
        for preference in header.split(","):
            match = _WAIT.fullmatch(preference.strip())
            if match:
                return min(timedelta(seconds=int(match[1])), LONGEST_WAIT)
    return None
