"""A trace's id in, the HTTP request that began it out: `POST /v1/users`."""

import time
from collections import OrderedDict
from typing import Final

from monitor.traces.reader import ReadFailed
from monitor.traces.source import TraceSource

_SERVER: Final = "server"
_MOST: Final = 1_000
_ASKED_AGAIN_S: Final = 10.0


class Requests:
    """What began traces. What was found is remembered; what was not is asked for again after a while."""

    def __init__(self, traces: TraceSource) -> None:
        self._traces = traces
        self._found: OrderedDict[str, tuple[str | None, float]] = OrderedDict()

    async def of(self, trace_id: str | None) -> str | None:
        """Method and route; None where the trace is not known, cannot be read now, or began otherwise."""
        if trace_id is None:
            return None
        found, asked_at = self._found.get(trace_id, (None, float("-inf")))
        if found is None and time.monotonic() - asked_at >= _ASKED_AGAIN_S:
            found = await self._read(trace_id)
            self._found[trace_id] = (found, time.monotonic())
            if len(self._found) > _MOST:
                self._found.popitem(last=False)
        return found

    async def _read(self, trace_id: str) -> str | None:
        try:
            spans = await self._traces.trace(bytes.fromhex(trace_id))
        except (ReadFailed, ValueError):
            return None
        known = {span.span_id for span in spans}
        roots = [span for span in spans if span.parent_id not in known]
        return next((span.operation for span in roots if span.kind == _SERVER), None)
