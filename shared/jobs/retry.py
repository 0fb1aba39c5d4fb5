"""When a failed job runs again: an attempt's number in, a wait out."""

import random
from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Exponential backoff with full jitter: between 0 and `base * factor ** (attempt - 1)`, at most `cap`.

    `attempts` counts the first run too. `never` lists the errors that another attempt cannot cure.
    Source of the jitter: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """

    attempts: int = 5
    base: timedelta = timedelta(seconds=2)
    factor: float = 2.0
    cap: timedelta = timedelta(minutes=10)
    jitter: bool = True
    never: tuple[type[Exception], ...] = field(default=())

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError(f"attempts is {self.attempts}; a job runs at least once")

    def delay(self, attempt: int) -> timedelta | None:
        """Wait before the attempt after `attempt` (the first is 1); None when there is none left."""
        if attempt >= self.attempts:
            return None
        steps = min(attempt - 1, 64)
        seconds = min(self.base.total_seconds() * self.factor**steps, self.cap.total_seconds())
        return timedelta(seconds=random.uniform(0, seconds) if self.jitter else seconds)  # noqa: S311 - jitter, no secret
