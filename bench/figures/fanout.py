"""Delivery of one event to 1, 4 and 16 handlers of one process: how many events and deliveries a second."""

from collections.abc import Callable
from datetime import timedelta

from bench.ours import Lab
from bench.ours.lab import drained
from bench.result import Measurement, merge
from bench.watch import Watch

_HANDLERS = (1, 4, 16)
_LIMIT = timedelta(seconds=60)


async def measure(*, rounds: int, quick: bool, say: Callable[[str], None]) -> list[Measurement]:
    """`fanout_events` and `fanout_deliveries`, a variant for each number of handlers."""
    found: list[Measurement] = []
    for _ in range(rounds):
        for handlers in _HANDLERS:
            found += await _one(handlers, deliveries=8_000 if quick else 40_000)
            say(f"fanout to {handlers}: {found[-1].values[0]:,.0f} deliveries/s")
    return merge(found)


async def _one(handlers: int, *, deliveries: int) -> list[Measurement]:
    events = deliveries // handlers
    watch = Watch.start()
    async with Lab.open() as lab:
        await lab.make_groups(takers=handlers)
        await lab.preload(0, events)
        async with lab.worker(takers=handlers) as folder:
            count = await drained(folder, events * handlers, limit=_LIMIT)
    return [
        Measurement(
            figure=f"fanout_{what}",
            contender="trunkline",
            title="Trunkline",
            variant=f"{handlers} handler{'s' if handlers > 1 else ''}",
            unit=f"{what}/s",
            values=[value],
            load=[watch.others()],
            note=f"{events:,} events preloaded, one process",
        )
        for what, value in (("events", count.per_s / handlers), ("deliveries", count.per_s))
    ]
