"""What a handler may say besides an event: postpone the job, refuse it; and the errors that carry more."""

from dataclasses import dataclass
from datetime import timedelta

from shared.errors import TrunklineError


@dataclass(frozen=True, slots=True)
class Snooze:
    """Run the job again after `delay`; costs no attempt."""

    delay: timedelta


@dataclass(frozen=True, slots=True)
class Reject:
    """The job can never succeed, for this reason: it goes to the dead letters at once."""

    reason: str


class RetryAfter(TrunklineError):
    """Raise it to say when the next attempt makes sense; it wins over the policy's own wait."""

    def __init__(self, message: str, delay: timedelta) -> None:
        super().__init__(f"{message}, retry after {delay.total_seconds():g} s")
        self.delay = delay


class TimeLimitExceeded(TrunklineError):
    """The handler ran longer than its `time_limit`."""

    def __init__(self, limit: timedelta) -> None:
        super().__init__(f"the handler ran longer than its time limit of {limit.total_seconds():g} s")
        self.limit = limit


class HardTimeLimitExceeded(TimeLimitExceeded):
    """The handler ran on past its `hard_limit`: it was killed, or left to itself in the event loop."""

    def __init__(self, limit: timedelta) -> None:
        TrunklineError.__init__(
            self, f"the handler ran on past its hard time limit of {limit.total_seconds():g} s"
        )
        self.limit = limit


class ProcessDied(TrunklineError):
    """The child process of the handler ended before the job did: os._exit, a crash, no memory left."""


class HandlerGaveUp(TrunklineError):
    """The handler left without returning or raising an error: SystemExit, or a cancellation of its own."""

    def __init__(self, why: BaseException) -> None:
        super().__init__(f"the handler ended with {type(why).__name__} {why}".rstrip())
        self.__cause__ = why
