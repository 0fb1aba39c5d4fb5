"""Where the pages read traces: the monitor's own store, or a Jaeger."""

from collections.abc import Sequence
from typing import Protocol

from monitor.traces.search import Cursor, TraceSummary
from monitor.traces.span import Span


class TraceSource(Protocol):
    """Answers what pages ask. Raises ReadFailed, whose message is for people."""

    async def services(self) -> list[str]:
        """The services that have sent spans lately, by name."""
        ...

    async def recent(
        self, *, service: str | None = None, after: Cursor | None = None, limit: int
    ) -> tuple[list[TraceSummary], Cursor | None]:
        """A page of the newest traces, of all services or of one, and where the next page begins, if any."""
        ...

    async def trace(self, trace_id: bytes) -> Sequence[Span]:
        """The spans of one trace by start; none when it is not known."""
        ...
