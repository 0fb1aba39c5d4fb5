"""Whether something answers, told once when it stops and once when it is back: no line for each try."""

from structlog.typing import FilteringBoundLogger


class Availability:
    """The state of one thing that may be away; `what` begins its lines: `bus.redis`."""

    def __init__(self, log: FilteringBoundLogger, what: str) -> None:
        self._log = log
        self._what = what
        self._is_away = False

    def lost(self, error: object, **fields: object) -> None:
        """It did not answer."""
        if not self._is_away:
            self._is_away = True
            self._log.warning(f"{self._what}_away", error=str(error) or repr(error), **fields)

    def back(self) -> None:
        """It answered."""
        if self._is_away:
            self._is_away = False
            self._log.info(f"{self._what}_back")
