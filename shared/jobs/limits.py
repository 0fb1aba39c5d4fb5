"""How many of a handler's jobs may run, how fast they start, and whether at all: what is said, and by whom.

The code says it (`Handlers.on`); what an operator says while it runs goes before that.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

N = TypeVar("N", int, float)

LEAST_RATE: Final = 0.0001
MOST_RATE: Final = 1_000_000.0
"""Starts in a second; beyond these bounds the scripts could not tell them apart."""
MOST_CONCURRENCY: Final = 1_000_000

_AHEAD: Final = timedelta(milliseconds=100)

FIELDS: Final = ("paused", "note", "since", "concurrency", "worker_concurrency", "rate")
"""The fields of the control hash; one that is absent is the code's to say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of one handler. None: nothing is said; for the code, that there is no such limit."""

    paused: bool = False
    note: str = ""
    since: datetime | None = None
    """When it was paused."""
    concurrency: int | None = None
    """How many jobs run at a time, all workers together."""
    worker_concurrency: int | None = None
    """How many jobs one worker runs at a time."""
    rate: float | None = None
    """How many jobs start in a second, all workers together."""

    def over(self, code: "Limits") -> "Limits":
        """What is in force when these are the operator's limits and `code` are the code's."""
        return Limits(
            paused=self.paused,
            note=self.note,
            since=self.since,
            concurrency=self.concurrency if self.concurrency is not None else code.concurrency,
            worker_concurrency=(
                self.worker_concurrency if self.worker_concurrency is not None else code.worker_concurrency
            ),
            rate=self.rate if self.rate is not None else code.rate,
        )

    def next_start_at(self, due_at: datetime, *, now: datetime) -> datetime | None:
        """When the rate allows the next start; None when it allows one now.

        `due_at` is what the claim keeps: when the next would be due if all came evenly. It lets each start a
        tenth of a second earlier than that.
        """
        if self.rate is None:
            return None
        at = due_at - _AHEAD
        return at if at > now else None

    @property
    def may_refuse(self) -> bool:
        """Whether a worker that has room may still be told to wait."""
        return self.paused or self.concurrency is not None or self.rate is not None


def limits_of(values: Sequence[bytes | None]) -> Limits:
    """The operator's limits from the values of FIELDS, in that order."""
    paused, note, since, concurrency, worker_concurrency, rate = values
    since_ms = _positive(int, since)
    return Limits(
        paused=bool(paused),
        note=note.decode(errors="replace") if note else "",
        since=datetime.fromtimestamp(since_ms / 1000, UTC) if since_ms else None,
        concurrency=_positive(int, concurrency),
        worker_concurrency=_positive(int, worker_concurrency),
        rate=_positive(float, rate),
    )


def _positive(kind: type[N], value: bytes | None) -> N | None:
    """The number, None for what is none: a field written by hand must not stop a worker."""
    try:
        number = kind(value) if value else None
    except ValueError:
        return None
    return number if number is not None and number > 0 else None
