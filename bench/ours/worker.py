"""`python -m bench.ours.worker 4 --due`: a process with so many handlers of parcels, and one of due parcels.

Settings and the tally's folder come from the environment.
"""

import argparse
import time
from collections.abc import Awaitable, Callable

from bench import tally
from bench.contenders.trunkline import Parcel
from bench.ours.events import DueParcel
from shared.jobs import Handlers
from shared.service import Service
from shared.settings import Settings

CONCURRENCY = 256


def service(settings: Settings, *, takers: int, due: bool) -> Service:
    """The service of the bench; each of its handlers has a job of its own for each event."""
    handlers = Handlers("bench")
    for number in range(1, takers + 1):
        handlers.on(Parcel, concurrency=CONCURRENCY)(_taker(number))
    if due:
        handlers.on(DueParcel, concurrency=CONCURRENCY)(look_at_clock)
    return Service("bench", handlers, settings)


def _taker(number: int) -> Callable[[Parcel], Awaitable[dict[str, str]]]:
    async def take(event: Parcel) -> dict[str, str]:
        """Do nothing, and say so: what is measured is all that is around it."""
        tally.hit()
        return {"taken": event.sku}

    take.__name__ = f"take_{number}"
    return take


async def look_at_clock(event: DueParcel) -> None:
    """Tell how long after its instant the event came here."""
    tally.latency(time.time_ns() - event.due_ns)
    tally.hit()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.ours.worker")
    parser.add_argument("takers", type=int)
    parser.add_argument("--due", action="store_true")
    chosen = parser.parse_args()
    service(Settings.load(), takers=chosen.takers, due=chosen.due).main()
