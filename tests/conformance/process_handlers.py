"""Handlers that run in child processes: what `what` of their event says, they do.

The event is that of the lab, written down again: each child would pay for what the lab's module imports.
"""

import asyncio
import os
import time
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import repeat
from pathlib import Path
from typing import Any, ClassVar

from shared.contracts import Event
from shared.jobs import Handlers, Job, Retry, TimeLimitExceeded
from shared.telemetry import Tracing

MEGABYTE = 1024 * 1024
QUICK = Retry(attempts=2, base=timedelta(milliseconds=20), jitter=False)


class Asked(Event):
    """`lab.asked`, as tests/conformance/conftest.py has it."""

    type: ClassVar[str] = "lab.asked"

    n: int
    what: str = "answer"


class Answered(Event):
    """`lab.answered`, as tests/conformance/conftest.py has it."""

    type: ClassVar[str] = "lab.answered"

    n: int


@dataclass(frozen=True)
class Tool:
    """Something that a child opens for its handler."""

    opened_in: int


@asynccontextmanager
async def open_in_child(tracing: Tracing) -> AsyncGenerator[tuple[object, ...]]:
    del tracing
    await asyncio.sleep(0)
    yield (Tool(opened_in=os.getpid()),)


plain = Handlers("lab", in_child=open_in_child)


@plain.on(Asked, isolation="process", retry=QUICK, concurrency=2)
def work(event: Asked, job: Job, tool: Tool) -> Any:
    """Everything that ends well or dies."""
    here = {"pid": os.getpid(), "n": event.n, "tool": tool.opened_in}
    if event.what == "step by step":
        for done in range(event.n + 1):
            job.progress_now(done, event.n, f"step {done}")
    elif event.what == "cause":
        return Answered(n=event.n), Answered(n=event.n + 1)
    elif event.what == "fail":
        raise LookupError(f"nothing at {event.n}")
    elif event.what == "exit":
        os._exit(event.n)
    elif event.what == "print":
        print("\x00\x00\x00\x01x" * event.n, flush=True)  # noqa: T201 - as a library might
    elif event.what == "scribble":
        scribble()
    elif event.what == "sleep":
        job.progress_now(os.getpid(), 1, "pid")
        time.sleep(event.n)
    return here


awaited = Handlers("lab", in_child=open_in_child)


@awaited.on(Asked, isolation="process", retry=QUICK, concurrency=1)
async def wait(event: Asked, job: Job, tool: Tool) -> dict[str, int]:
    """The same as an async function: it waits, or computes without end."""
    await job.progress(1, 2, "half")
    if event.what == "sleep":
        await asyncio.sleep(event.n)
    elif event.what == "compute":
        compute()
    return {"pid": os.getpid(), "tool": tool.opened_in}


limited = Handlers("lab")


@limited.on(
    Asked,
    isolation="process",
    retry=Retry(attempts=1),
    time_limit=timedelta(seconds=1),
    hard_limit=timedelta(seconds=12),
    concurrency=2,
)
def crunch(event: Asked, job: Job) -> dict[str, int]:
    """Run beyond the limits, as far as it gets."""
    job.progress_now(os.getpid(), 1, "pid")
    if event.what == "compute":
        compute()
    elif event.what == "sleep":
        time.sleep(event.n)
    elif event.what == "clean up":
        try:
            compute()
        except TimeLimitExceeded:
            return {"cleaned_up": event.n}
    elif event.what == "deaf":
        while True:
            try:
                compute()
            except TimeLimitExceeded:
                continue
    elif event.what == "in C":
        # No signal is looked at, and no other thread runs, until this returns.
        deque(repeat(None), maxlen=0)
    return {"pid": os.getpid()}


@limited.on(
    Asked, isolation="process", retry=Retry(attempts=1), time_limit=timedelta(seconds=1), concurrency=1
)
async def crunch_in_a_loop(event: Asked) -> None:
    """An async function that computes, or waits."""
    if event.what == "compute":
        compute()
    elif event.what == "sleep":
        await asyncio.sleep(event.n)


frugal = Handlers("lab")


@frugal.on(
    Asked,
    isolation="process",
    retry=Retry(attempts=1),
    time_limit=timedelta(seconds=30),
    memory_limit_bytes=200 * MEGABYTE,
    concurrency=1,
)
def eat(event: Asked) -> dict[str, int]:
    """Hold `n` megabytes."""
    eaten = [bytearray(MEGABYTE) for _ in range(event.n)]
    return {"pid": os.getpid(), "eaten": len(eaten)}


unfulfilled = Handlers("lab", in_child=open_in_child)


@unfulfilled.on(Asked, isolation="process")
def ask_too_much(event: Asked, where: Path) -> None:
    """Ask for what nobody provides."""
    del event, where


def scribble() -> None:
    """Write into whatever is open, the line to the service among it."""
    for descriptor in range(3, 64):
        with suppress(OSError):
            os.write(descriptor, b"\x00\x00\x00\x04oops")


def compute() -> None:
    """A loop that never ends and never waits."""
    n = 0
    while True:
        n = (n * 31 + 7) % 1_000_003


deaf = Handlers("lab")


@deaf.on(Asked, isolation="process", retry=Retry(attempts=1), concurrency=1)
def hear_nothing(event: Asked, job: Job) -> None:
    """Go on whatever is raised."""
    del event
    job.progress_now(os.getpid(), 1, "pid")
    while True:
        try:
            compute()
        except BaseException:  # noqa: BLE001, S112 - that is the point
            continue
