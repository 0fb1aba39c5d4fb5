"""When to leave a relay alone that does not answer: failures and successes in, a wait out."""

from collections.abc import Callable
from datetime import timedelta
from time import monotonic

FIRST_REST = timedelta(seconds=1)
LONGEST_REST = timedelta(seconds=30)


class Breaker:
    """After a failure nobody tries for a while, then one tries for all; each further one doubles the rest.

    Without it each waiting mail would spend its attempts on a relay that is known to be down.
    """

    def __init__(
        self,
        *,
        first: timedelta = FIRST_REST,
        longest: timedelta = LONGEST_REST,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._first_s = first.total_seconds()
        self._longest_s = longest.total_seconds()
        self._now = now
        self._failures = 0
        self._failed_at = 0.0
        self._rests_until = 0.0

    def enter(self) -> timedelta | None:
        """None when the caller may try; else how long the rest still lasts.

        Who may try after a rest is alone: for the others it begins again, until `failed` or `passed`.
        """
        if not self._failures:
            return None
        left_s = self._rests_until - self._now()
        if left_s > 0:
            return timedelta(seconds=left_s)
        self._rests_until = self._now() + self._rest_s
        return None

    def failed(self, began_at: float) -> None:
        """A try that began at this monotonic instant failed; those that ran side by side count once."""
        if self._failures and began_at < self._failed_at:
            return
        self._failures += 1
        self._failed_at = self._now()
        self._rests_until = self._failed_at + self._rest_s

    def passed(self) -> None:
        """A try succeeded: no more rests."""
        self._failures = 0

    @property
    def _rest_s(self) -> float:
        return min(self._first_s * 2 ** min(self._failures - 1, 16), self._longest_s)
