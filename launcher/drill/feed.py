"""The client of a drill: events in, each accepted by a gateway that is killed again and again, out."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from launcher.errors import LauncherError
from shared.contracts import BATCH_TYPE, DrillRequested, new_id

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

_BATCHES_A_SECOND = 4
_LARGEST_BATCH = 500
_PAUSE_S = 0.1
_LONGEST_OUTAGE_S = 60.0
_UNAVAILABLE = 503


class DrillRefused(LauncherError):
    """The gateway refused what it must take."""


@dataclass(frozen=True, slots=True)
class Asked:
    """An event that was made before anybody was asked to take it, so that it can be repeated."""

    n: int
    event_id: str

    def to_json(self) -> dict[str, Any]:
        """The event as CloudEvents JSON."""
        return {
            "specversion": "1.0",
            "id": self.event_id,
            "source": "/trunkline/drill",
            "type": DrillRequested.type,
            "data": {"n": self.n},
        }


class Feed:
    """Posts all events, evenly over a span of time; after an outage it catches up."""

    def __init__(self, gateway: httpx.AsyncClient, jobs: int, *, over: timedelta) -> None:
        self.events = [Asked(n, new_id()) for n in range(jobs)]
        self.accepted = 0
        self.repeated = 0
        """How many requests were repeated because no answer came."""
        self._gateway = gateway
        self._over_s = over.total_seconds()

    async def run(self) -> None:
        """Return when every event was accepted; raises DrillRefused."""
        started = time.monotonic()
        per_second = len(self.events) / self._over_s
        size = max(1, min(_LARGEST_BATCH, round(per_second / _BATCHES_A_SECOND)))
        for first in range(0, len(self.events), size):
            await asyncio.sleep(started + first / per_second - time.monotonic())
            batch = self.events[first : first + size]
            await self._post(batch)
            self.accepted += len(batch)

    async def retry(self, job_id: str) -> None:
        """Run a dead job again, as an operator would."""
        (await self._gateway.post(f"/v1/jobs/{job_id}/retry")).raise_for_status()

    async def _post(self, batch: Sequence[Asked]) -> None:
        """Until it is accepted: the same ids each time, so that a repetition does no harm."""
        events = [asked.to_json() for asked in batch]
        give_up_at = time.monotonic() + _LONGEST_OUTAGE_S
        while time.monotonic() < give_up_at:
            try:
                answer = await self._gateway.post(
                    "/v1/events", json=events, headers={"Content-Type": BATCH_TYPE}
                )
            except httpx.TransportError:
                self.repeated += 1
            else:
                if answer.is_success:
                    return
                if answer.status_code != _UNAVAILABLE:
                    raise DrillRefused(f"the gateway answered {answer.status_code}: {answer.text[:300]}")
                self.repeated += 1
            await asyncio.sleep(_PAUSE_S)
        raise DrillRefused(f"the gateway took nothing for {_LONGEST_OUTAGE_S:.0f} s")
