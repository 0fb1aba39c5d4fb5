"""Cost against backlog: how fast jobs drain, and how soon another handler's job starts, while many wait.

One round: to publish a million events takes longer than all that is measured with them.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta

from bench import tally
from bench.ours import Lab
from bench.ours.events import due_parcel
from bench.ours.lab import POLL_S, SOURCE, drained, publish, used_bytes
from bench.result import Measurement, percentile
from bench.watch import Watch
from shared.bus import Bus, BusName
from shared.bus.redis_streams import connect
from shared.contracts import wrap
from shared.settings import Secret

_BUSES: tuple[BusName, ...] = ("redis", "nats")
_MORE: dict[BusName, tuple[int, ...]] = {
    "redis": (0, 10_000, 100_000, 1_000_000),
    "nats": (0, 10_000, 100_000),  # a million takes 40 s to publish there
}
_MORE_QUICK = (0, 2_000, 10_000)
_LIMIT = timedelta(seconds=60)
_REWRITE_LIMIT_S = 60.0
_GAP_S = 0.02
_WARM_UP = 5


async def measure(*, rounds: int, quick: bool, say: Callable[[str], None]) -> list[Measurement]:
    """`backlog_drain` in jobs/s, `backlog_pickup_p50` and `_p99` in ms, `backlog_memory` in bytes/job.

    A variant for each bus and number of jobs that wait beyond those that are drained; always one round.
    """
    del rounds
    found: list[Measurement] = []
    for bus in _BUSES:
        found += await _Growing(bus, drain=2_000 if quick else 20_000, samples=20 if quick else 100).measure(
            _MORE_QUICK if quick else _MORE[bus], say
        )
    return found


class _Growing:
    """One system whose backlog grows from step to step: what was drained is published again."""

    def __init__(self, bus: BusName, *, drain: int, samples: int) -> None:
        self._bus: BusName = bus
        self._drain = drain
        self._samples = samples
        self._published = 0
        self._run = 0

    async def measure(self, steps: tuple[int, ...], say: Callable[[str], None]) -> list[Measurement]:
        """All steps, the shortest backlog first."""
        found: list[Measurement] = []
        async with Lab.open(self._bus) as lab:
            await lab.make_groups(due=True)
            for more in steps:
                found += await self._step(lab, more)
                say(
                    f"{found[-1].variant}: "
                    + ", ".join(
                        f"{one.values[0]:,.1f} {one.unit}"
                        for one in found
                        if one.variant == found[-1].variant
                    )
                )
        return found

    async def _step(self, lab: Lab, more: int) -> list[Measurement]:
        count = self._drain + more - (self._published - self._run)
        before_bytes = await used_bytes(lab)
        took_s = await lab.preload(self._published, count)
        self._published += count
        await _until_no_rewrite(lab)
        watch = Watch.start()
        values = {"backlog_memory": ("bytes/job", (await used_bytes(lab) - before_bytes) / count)}
        pickup_ms = await self._pickup(lab)
        values["backlog_pickup_p50"] = "ms", percentile(pickup_ms, 0.5)
        values["backlog_pickup_p99"] = "ms", percentile(pickup_ms, 0.99)
        values["backlog_drain"] = "jobs/s", await self._drain_some(lab)
        return [
            Measurement(
                figure=figure,
                contender="trunkline" if self._bus == "redis" else "trunkline_nats",
                title="Trunkline" if self._bus == "redis" else "Trunkline on NATS",
                variant=f"{self._bus}, {more:,} more waiting",
                unit=unit,
                values=[value],
                load=[watch.others()],
                note="one round"
                + (f"; published at {count / took_s:,.0f} events/s" if self._bus == "redis" else ""),
            )
            for figure, (unit, value) in values.items()
            if self._bus == "redis" or figure != "backlog_memory"
        ]

    async def _drain_some(self, lab: Lab) -> float:
        """The rate of the first jobs; those that the worker runs before it stops are not waited for again."""
        async with lab.worker() as folder:
            count = await drained(folder, self._drain, limit=_LIMIT)
        self._run += tally.read(folder).jobs
        return count.per_s

    async def _pickup(self, lab: Lab) -> list[float]:
        """From before the publishing to the first line of a handler that is idle, in ms."""
        async with (
            lab.worker(takers=0, due=True, ready=True) as folder,
            Bus.open(lab.settings, name="bench") as bus,
        ):
            for n in range(_WARM_UP + self._samples):
                await publish(bus, [wrap(due_parcel(time.time_ns()), source=SOURCE)])
                await drained(folder, n + 1, limit=_LIMIT)
                await asyncio.sleep(_GAP_S)
            return [ns / 1e6 for ns in tally.read_latencies(folder)[_WARM_UP:]]


async def _until_no_rewrite(lab: Lab) -> None:
    """Redis rewrites a log that has doubled, on a core that the worker needs: nobody asked for that here."""
    until = time.monotonic() + _REWRITE_LIMIT_S
    async with connect(Secret(lab.redis.url)) as redis:
        while time.monotonic() < until:
            state = await redis.info("persistence")
            if not state["aof_rewrite_in_progress"] and not state["aof_rewrite_scheduled"]:
                return
            await asyncio.sleep(POLL_S)
    raise TimeoutError(f"Redis still rewrote its log after {_REWRITE_LIMIT_S:g} s")
