"""What must hold after a drill: its figures in, each invariant with PASS or FAIL out. Pure decisions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from shared.jobs import OpenWork


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was counted."""

    jobs: int
    accepted: int
    """Events that the client was told are accepted."""
    in_ledger: int
    states: Mapping[str, int]
    """Jobs by their state; "" for those that nobody knows."""
    final: int
    effects: int
    effective_jobs: int
    left: OpenWork
    kills: Mapping[str, int]
    pauses: int
    restarts: int
    repeated: int
    span: timedelta | None
    longest_gap: timedelta | None
    poisoned: int = 0
    """Jobs that were buried because the drill killed their worker three times, and were run again."""
    fenced: int = 0
    """Endings of zombies that were refused."""


@dataclass(frozen=True, slots=True)
class Invariant:
    """One thing that must hold. `fault` says in a few words what does not."""

    name: str
    expected: str
    found: str
    holds: bool
    fault: str


def judge(figures: Figures) -> list[Invariant]:
    """Every invariant, held or not."""
    jobs, left = figures.jobs, figures.left
    lost = jobs - figures.final
    twice = figures.effects - figures.effective_jobs
    other = figures.final - figures.states.get("succeeded", 0)
    open_ = left.running + left.due + left.later + left.on_redis + left.on_nats
    return [
        _exactly("events accepted", figures.accepted, jobs, "{} of {} events were accepted"),
        _exactly("  in the ledger", figures.in_ledger, jobs, "{} of {} events are in the ledger"),
        _exactly("jobs lost", lost, 0, "{} jobs never came to an end"),
        _exactly("  ended badly", other, 0, "{} jobs ended as something else than succeeded"),
        _exactly("effects in Postgres", figures.effective_jobs, jobs, "{} of {} jobs had their effect"),
        _exactly("  duplicated", twice, 0, "{} effects are there twice"),
        _exactly("left in the queues", open_, 0, f"left is {left}"),
        Invariant(
            "zombies fenced",
            "at least 1",
            f"{figures.fenced:,}",
            figures.fenced > 0,
            "no zombie was fenced, which proves nothing about zombies: give more --seconds or --jobs",
        ),
    ]


def _exactly(name: str, found: int, expected: int, fault: str) -> Invariant:
    return Invariant(
        name, f"{expected:,}", f"{found:,}", found == expected, fault.format(f"{found:,}", f"{expected:,}")
    )
