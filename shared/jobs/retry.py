"""When a failed job runs again: an attempt's number in, a wait out."""

import random
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Exponential backoff with full jitter: between 0 and `base * factor ** (attempt - 1)`, at most `cap`.

    `attempts` counts the first run too. `never` lists the errors that another attempt cannot cure. With
    `delays` (see `scheduled`) the waits are these, one after the other, and jitter adds a tenth at most.
    Source of the jitter: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """

    attempts: int = 5
    base: timedelta = timedelta(seconds=2)
    factor: float = 2.0
    cap: timedelta = timedelta(minutes=10)
    jitter: bool = True
    never: tuple[type[Exception], ...] = field(default=())
    delays: tuple[timedelta, ...] = field(default=())

    @classmethod
    def scheduled(cls, *delays: timedelta, never: tuple[type[Exception], ...] = ()) -> Self:
        """A schedule that somebody else recommends: the wait before each attempt after the first."""
        return cls(attempts=len(delays) + 1, delays=delays, never=never)

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError(f"attempts is {self.attempts}; a job runs at least once")
        if self.delays and len(self.delays) != self.attempts - 1:
            raise ValueError(f"{len(self.delays)} delays do not fit {self.attempts} attempts")

    def delay(self, attempt: int) -> timedelta | None:
        """Wait before the attempt after `attempt` (the first is 1); None when there is none left."""
        if attempt >= self.attempts:
            return None
        if self.delays:
            scheduled = self.delays[attempt - 1]
            return scheduled * random.uniform(1, 1.1) if self.jitter else scheduled  # noqa: S311 - jitter, no secret
        steps = min(attempt - 1, 64)
        seconds = min(self.base.total_seconds() * self.factor**steps, self.cap.total_seconds())
        return timedelta(seconds=random.uniform(0, seconds) if self.jitter else seconds)  # noqa: S311 - jitter, no secret
