"""What a run of the bench found: measurements in, JSON out, and the same from JSON.

Who writes the page reads nothing but this. Names of figures, each with its unit:
    enqueue_one, enqueue_many   calls/s, jobs/s by one process
    drain                       jobs/s; variant "1 process", "2 processes", or with the contender's own before
                                it: "tuned, 1 process"
    pickup_p50, pickup_p99      ms from before the enqueueing to the first line of the handler, at idle
    rss, pss                    MB of the worker's whole process tree at idle
    idle_cpu                    % of one core
    idle_commands               commands/s that an idle worker sends to Redis
    awaited                     jobs/s, 10 ms awaited in each, concurrency 256
and those of door, backlog, guarantees, fanout and delayed in bench/figures.
"""

import math
import statistics
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of one contender: a value for each round."""

    figure: str
    contender: str
    """The name of its file in bench/contenders."""
    title: str
    """The contender, as the page calls it."""
    variant: str = ""
    unit: str
    values: list[float]
    load: list[float]
    """For each value: how much of the machine others used meanwhile, 0 to 1."""
    note: str = ""

    @property
    def median(self) -> float:
        """The middle of the rounds."""
        return statistics.median(self.values)

    @property
    def least(self) -> float:
        """The lowest of the rounds."""
        return min(self.values)

    @property
    def most(self) -> float:
        """The highest of the rounds."""
        return max(self.values)

    @property
    def key(self) -> tuple[str, str, str]:
        """What one measurement of a run differs in from all others."""
        return self.figure, self.contender, self.variant


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Where the figures were taken."""

    cores: int
    cpu: str
    memory_gb: float
    kernel: str
    python: str
    load: list[float]
    """The load averages of 1, 5 and 15 minutes before the first measurement."""
    steal: float
    """How much of the machine's time its host gave to others during the run, 0 to 1."""


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """All that one run of the bench found."""

    taken_at: datetime
    machine: Machine
    versions: dict[str, str]
    """Of packages and servers: {"saq": "0.26.1", "Redis": "8.2.1"}."""
    rounds: int
    took_s: float
    measurements: list[Measurement]
    notes: dict[str, str] = {}
    """By contender: the settings it ran with."""
    failures: list[str] = []
    """What could not be measured, and why."""

    def of(self, figure: str) -> list[Measurement]:
        """The measurements of one figure, as they were taken."""
        return [one for one in self.measurements if one.figure == figure]

    def save(self, path: Path) -> None:
        """Write them down for people and programs."""
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")

    @classmethod
    def load(cls, path: Path) -> "Results":
        """Read what save() wrote; msgspec.DecodeError for anything else."""
        return msgspec.json.decode(path.read_bytes(), type=cls)


def merge(measurements: Iterable[Measurement]) -> list[Measurement]:
    """One measurement for all rounds of it, in the order in which each came first."""
    merged: dict[tuple[str, str, str], Measurement] = {}
    for one in measurements:
        before = merged.get(one.key)
        merged[one.key] = (
            one
            if before is None
            else msgspec.structs.replace(
                before,
                values=[*before.values, *one.values],
                load=[*before.load, *one.load],
                note=before.note or one.note,
            )
        )
    return list(merged.values())


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of all values do not exceed (nearest rank); ValueError for no values."""
    if not values:
        raise ValueError("no values, no percentile")
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def now() -> datetime:
    """The instant of a run."""
    return datetime.now(UTC)
