"""The block that a ready system prints: a State in, a few lines for a person out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from launcher.data_folder import DataFolder
    from launcher.state import State


def summary_of(state: State, folder: DataFolder) -> str:
    """URLs, the API key, and how to stop."""
    rows = {
        "gateway": state.gateway,
        "docs": f"{state.gateway}/docs" if state.gateway else None,
        "monitor": state.monitor,
        "API key": state.api_key,
        "mail": state.mail or state.smtp,
        "webhooks": state.warehouse,
        "logs": str(folder.logs()),
    }
    lines = [f"  {name:<9}{value}" for name, value in rows.items() if value]
    stop = f"  Stop it with Ctrl-C or `trunkline down --data {folder.path}`."
    return "\n".join(["", "Trunkline is ready.", "", *lines, "", stop, ""])
