"""The steps of all figures in, their measurements out: rounds interleaved, failures noted, progress told."""

import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import msgspec

from bench.result import Measurement, merge
from bench.watch import Watch

Take = Callable[[int], Awaitable[list[Measurement]]]
"""Takes the figures of one round (the first is 0): measurements of one value each, with no load yet."""


@dataclass(frozen=True)
class Step:
    """What is measured in one go: one contender in one way."""

    figure: str
    """The word for `--only`."""
    name: str
    """Who is measured, for the line of progress."""
    take: Take
    rounds: int | None = None
    """How many suffice; None: as many as the run has."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How long each measurement takes and how much is put into it."""

    is_quick: bool = False
    rounds: int = 3
    jobs: int = 20_000
    preload_limit_s: float = 8.0
    """A contender that enqueues slowly drains what it got in by then: it does not come to the end anyway."""
    drain_limit_s: float = 1.5
    enqueue_s: float = 0.6
    samples: int = 40
    gap_ms: float = 20.0
    idle_s: float = 1.0

    @classmethod
    def quick(cls) -> "Scale":
        """Enough to see that all of it works; its figures are no figures."""
        return cls(
            is_quick=True,
            rounds=1,
            jobs=2_000,
            preload_limit_s=3.0,
            drain_limit_s=1.0,
            enqueue_s=0.3,
            samples=20,
            gap_ms=10.0,
            idle_s=1.0,
        )

    def of(self, rounds: int) -> "Scale":
        """The same in so many rounds."""
        return replace(self, rounds=rounds)


def interleaved(steps: Sequence[Step], rounds: int) -> Iterator[tuple[int, Step]]:
    """A B C A B C for each figure: what slows the machine for a while slows all contenders alike."""
    for figure in dict.fromkeys(step.figure for step in steps):
        for round_ in range(rounds):
            for step in steps:
                if step.figure == figure and round_ < (rounds if step.rounds is None else step.rounds):
                    yield round_, step


async def take(steps: Sequence[Step], rounds: int) -> tuple[list[Measurement], list[str]]:
    """Take every step of every round; what failed is told in words, and the others go on."""
    order = list(interleaved(steps, rounds))
    began = time.monotonic()
    found: list[Measurement] = []
    failures: list[str] = []
    for number, (round_, step) in enumerate(order, start=1):
        watch = Watch.start()
        try:
            taken = await step.take(round_)
        except Exception as error:  # noqa: BLE001 - one contender that fails must not end the run of the others
            failures.append(f"{step.figure}, {step.name}, round {round_ + 1}: {error or repr(error)}")
            tell(f"{failures[-1]}")
            continue
        load = watch.others()
        found += [one if one.load else _loaded(one, load) for one in taken]
        said = ", ".join(f"{one.figure} {one.values[0]:,.6g} {one.unit}" for one in taken)
        spent = time.monotonic() - began
        tell(f"{spent:5.0f} s {number}/{len(order)} {step.name}: {said} (others {load:.0%})")
    return merge(found), failures


def _loaded(one: Measurement, load: float) -> Measurement:
    """The measurement with the load that it was taken under."""
    return msgspec.structs.replace(one, load=[load] * len(one.values))


def tell(line: str) -> None:
    """A line of progress."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
