"""A job's id in; its states as they come, to its end, out: over a stream that is opened again when cut."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from launcher.operate.asking import Operator
from launcher.operate.errors import Exit
from shared.api import Unreachable, path_of

FINAL: Final = frozenset({"succeeded", "dead", "cancelled", "expired"})

_FIRST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 5.0
_LONGEST_SILENCE_S: Final = 120.0
"""A gateway that does not come back within this time is given up."""
_WAIT_S: Final = 20
_AT_A_TIME: Final = 10


async def followed(who: Operator, job_id: str) -> AsyncIterator[dict[str, Any]]:
    """The job as it is, then each time that it changed; ends with its end.

    Raises Refusal for a job that nobody knows, and Unreachable when there was no answer from the beginning,
    or for two minutes.
    """
    seen: str | None = None
    pause_s, lost_at = _FIRST_PAUSE_S, None
    while True:
        try:
            async with who.api.stream(path_of("jobs", job_id, "stream"), last_event_id=seen) as events:
                async for event in events:
                    pause_s, lost_at = _FIRST_PAUSE_S, None
                    seen = event.id or seen
                    if event.event == "end":
                        return
                    yield event.data
        except Unreachable:
            lost_at = lost_at or time.monotonic()
            if seen is None or time.monotonic() - lost_at > _LONGEST_SILENCE_S:
                raise
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


async def ends(who: Operator, job_ids: Sequence[str]) -> AsyncIterator[dict[str, Any]]:
    """Each of the jobs as it has ended, the first to end first; ten are asked for at a time."""
    places = asyncio.Semaphore(_AT_A_TIME)

    async def end_of(job_id: str) -> dict[str, Any]:
        async with places:
            while True:
                job = await who.api.get(path_of("jobs", job_id), {"wait": _WAIT_S}, limit_s=_WAIT_S + 10)
                if job["state"] in FINAL:
                    return job

    tasks = [asyncio.create_task(end_of(job_id)) for job_id in job_ids]
    try:
        for task in asyncio.as_completed(tasks):
            yield await task
    finally:
        for task in tasks:
            task.cancel()


def code_of(states: Sequence[str]) -> Exit:
    """How a command ends that followed these jobs: the worst decides."""
    if "dead" in states:
        return Exit.REFUSED
    return Exit.NOT_FOUND if {"cancelled", "expired"} & set(states) else Exit.DONE
