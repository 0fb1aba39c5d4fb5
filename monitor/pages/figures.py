"""The answer of GET /v1/figures in, what happened minute by minute out; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from monitor.drawing.charts import Times
from shared.clock import from_rfc3339

Answer = Mapping[str, Any]

LATELY_MIN: Final = 5
MINUTES: Final = 60


@dataclass(frozen=True, slots=True)
class Version:
    """What workers of one version did: jobs that ended, and attempts that failed."""

    name: str
    ended: int
    failed: int

    @property
    def attempts(self) -> int:
        """All of them; those that ended a job badly are in both numbers, and counted twice."""
        return self.ended + self.failed

    @property
    def ratio(self) -> float:
        """The part of the attempts that failed."""
        return self.failed / self.attempts if self.attempts else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """One handler, or all of them: a number a minute, and totals. `failed` are attempts: retried or dead."""

    succeeded: Sequence[int]
    failed: Sequence[int]
    wait_p50_ms: Sequence[float | None]
    wait_p95_ms: Sequence[float | None]
    run_p50_ms: Sequence[float | None]
    run_p95_ms: Sequence[float | None]
    total: Mapping[str, float | None]
    versions: Sequence[Version] = ()

    @property
    def failed_in_all(self) -> int:
        """Attempts that failed."""
        return sum(self.failed)

    @property
    def ratio(self) -> float | None:
        """The part of all attempts that failed; None where there was none."""
        return _ratio(sum(self.succeeded), self.failed_in_all)

    @property
    def failed_lately(self) -> int:
        """Attempts that failed in the last minutes."""
        return sum(self.failed[-LATELY_MIN:])

    @property
    def ratio_lately(self) -> float | None:
        """The part of the last minutes' attempts that failed."""
        return _ratio(sum(self.succeeded[-LATELY_MIN:]), self.failed_lately)


@dataclass(frozen=True, slots=True)
class Figures:
    """All of it."""

    times: Times
    all: Track
    handlers: Mapping[str, Track]
    """Those that did anything."""

    def of(self, handler: str) -> Track:
        """The handler's; of one that did nothing, nothing."""
        return self.handlers.get(handler) or _nothing(len(self.all.succeeded))


def figures_of(answer: Answer) -> Figures:
    """The answer, read."""
    return Figures(
        Times(from_rfc3339(answer["from"]), timedelta(seconds=answer["step_s"])),
        _track(answer["all"]),
        {one["handler"]: _track(one) for one in answer["handlers"]},
    )


def _track(answer: Answer) -> Track:
    return Track(
        succeeded=answer["succeeded"],
        failed=[dead + retried for dead, retried in zip(answer["dead"], answer["retried"], strict=True)],
        wait_p50_ms=answer["wait_p50_ms"],
        wait_p95_ms=answer["wait_p95_ms"],
        run_p50_ms=answer["run_p50_ms"],
        run_p95_ms=answer["run_p95_ms"],
        total=answer["total"],
        versions=[
            Version(one["version"], one["ended"], one["failed"]) for one in answer.get("versions") or ()
        ],
    )


def _nothing(minutes: int) -> Track:
    zeros, nulls = [0] * minutes, [None] * minutes
    return Track(
        succeeded=zeros,
        failed=zeros,
        wait_p50_ms=nulls,
        wait_p95_ms=nulls,
        run_p50_ms=nulls,
        run_p95_ms=nulls,
        total=dict.fromkeys(("wait_p50_ms", "wait_p95_ms", "run_p50_ms", "run_p95_ms")),
    )


def _ratio(succeeded: int, failed: int) -> float | None:
    return failed / (succeeded + failed) if succeeded + failed else None
