"""A Status in, a table for a person out."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from launcher.status import ProcessStatus, Status

_TITLES = ("NAME", "PID", "STATE", "UPTIME", "RESTARTS")


def status_table(status: Status) -> str:
    """Processes and URLs, aligned."""
    if status.state == "stopped":
        return f"nothing runs on {status.data}"
    rows = [_TITLES, *(_row(process) for process in status.processes)]
    urls = {"gateway": status.gateway, "monitor": status.monitor, "mail": status.mail}
    shown = [f"{name:<9}{url}" for name, url in urls.items() if url]
    return "\n".join(
        [f"{status.state} on {status.data} (launcher {status.pid})", "", *aligned(rows), "", *shown]
    )


def _row(process: ProcessStatus) -> tuple[str, ...]:
    uptime = "-" if process.uptime_s is None else str(timedelta(seconds=int(process.uptime_s)))
    return (process.name, str(process.pid), process.state, uptime, str(process.restarts))


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as lines, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
