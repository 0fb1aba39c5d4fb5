"""Schedules in; the latest ticks of each, and how the jobs of its last one stand, out.

A view is drawn again and again, and ticks are rare: those of a schedule are asked for after it has had one,
and the jobs of a tick until all have succeeded.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from shared.api import GatewayApi, Refusal, path_of

_TICKS: Final = 30
_AT_ONCE: Final = 8
_KEPT: Final = 1_000
_WORST_FIRST: Final = ("dead", "expired", "cancelled", "retrying", "running", "queued", "succeeded")


class Ended(NamedTuple):
    """The jobs of one event: the worst state of any, and whose it is."""

    state: str
    job_id: str
    jobs: int


class LatestTicks:
    """Remembers what was asked; for all who look at schedules."""

    def __init__(self) -> None:
        self._ticks: OrderedDict[str, tuple[object, Sequence[dict[str, Any]]]] = OrderedDict()
        self._done: OrderedDict[str, Ended | None] = OrderedDict()
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def of(
        self, api: GatewayApi, schedules: Sequence[Mapping[str, Any]]
    ) -> Mapping[str, Sequence[dict[str, Any]]]:
        """Name -> its latest ticks, the newest first."""
        found = await asyncio.gather(*(self._of_one(api, schedule) for schedule in schedules))
        return {schedule["name"]: ticks for schedule, ticks in zip(schedules, found, strict=True)}

    async def ended(
        self, api: GatewayApi, schedules: Sequence[Mapping[str, Any]]
    ) -> Mapping[str, Ended | None]:
        """Name -> how the jobs of its last tick stand; None where it has none, or nobody knows them yet."""
        found = await asyncio.gather(*(self._ended(api, schedule["last"]) for schedule in schedules))
        return {schedule["name"]: ended for schedule, ended in zip(schedules, found, strict=True)}

    async def _of_one(self, api: GatewayApi, schedule: Mapping[str, Any]) -> Sequence[dict[str, Any]]:
        last = schedule["last"]
        if last is None:
            return []
        name, mark = schedule["name"], (last["tick"], last["decided_at"], last["published_at"])
        kept = self._ticks.get(name)
        if kept is not None and kept[0] == mark:
            return kept[1]
        async with self._turns:
            ticks = (await api.get(path_of("schedules", name, "ticks"), {"limit": _TICKS}, quiet=True))[
                "items"
            ]
        _keep(self._ticks, name, (mark, ticks))
        return ticks

    async def _ended(self, api: GatewayApi, last: Mapping[str, Any] | None) -> Ended | None:
        event_id = last["event_id"] if last else None
        if event_id is None or event_id in self._done:
            return self._done.get(event_id or "")
        async with self._turns:
            try:
                event = await api.get(path_of("events", event_id), quiet=True)
            except Refusal:
                return None  # its bus has it, and the ledger is to follow
        ended = worst(event["jobs"])
        if event["settled_at"] is not None and (ended is None or ended.state == "succeeded"):
            _keep(self._done, event_id, ended)
        return ended


def worst(jobs: Sequence[Mapping[str, Any]]) -> Ended | None:
    """The state that somebody should look at first; None without jobs."""
    if not jobs:
        return None
    job = min(jobs, key=lambda job: _WORST_FIRST.index(job["state"]))
    return Ended(job["state"], job["id"], len(jobs))


def _keep(kept: "OrderedDict[str, Any]", name: str, value: object) -> None:
    kept[name] = value
    kept.move_to_end(name)
    while len(kept) > _KEPT:
        kept.popitem(last=False)
