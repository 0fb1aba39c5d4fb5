"""A data folder, a service and a trace id in, that service's line about the trace in short out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from pathlib import Path


def line_of(data: Path, service: str, trace_id: str) -> str | None:
    """The service's canonical log line of this trace, told in short; None while there is none."""
    for log in sorted((data / "logs").glob(f"{service}*.log")):
        for text in log.read_text(errors="replace").splitlines():
            if trace_id in text and ("http.request" in text or "job.finished" in text):
                return f"{log.name}: {_in_short(text)}"
    return None


def _in_short(line: str) -> str:
    if not line.startswith("{"):
        return line[:160]
    fields = msgspec.json.decode(line)
    what = fields.get("route") or fields.get("handler")
    return f"{fields['event']} {what} trace_id={fields['trace_id']}"
