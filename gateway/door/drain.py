"""Whether this process is about to stop: said once, heard by readiness and by whoever waits on a client."""

from collections.abc import Callable


class Drain:
    """Begins with SIGTERM and never ends."""

    def __init__(self) -> None:
        self._has_begun = False
        self._listeners: list[Callable[[], None]] = []

    @property
    def has_begun(self) -> bool:
        """Whether no new work should come here."""
        return self._has_begun

    def on_begin(self, listener: Callable[[], None]) -> None:
        """Call the listener, which must not block, when draining begins."""
        self._listeners.append(listener)

    def begin(self) -> None:
        """Idempotent; on the event loop's thread."""
        if self._has_begun:
            return
        self._has_begun = True
        for listener in self._listeners:
            listener()
