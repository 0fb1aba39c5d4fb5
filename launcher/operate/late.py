"""The name of a command in; it, imported when it is used, out: `trunkline --help` pays for none of them."""

import importlib
from typing import Any, Final

import typer
from typer.core import TyperGroup

EXIT_CODES: Final = (
    "Exit codes: 0 done; 1 refused or failed; 2 wrong usage; 3 no system, or no answer from it; "
    "4 not found; 5 not allowed."
)

COMMANDS: Final = {
    "jobs": "See, watch, explain, cancel jobs, and run them again.",
    "events": "Publish events, and see what became of them.",
    "dead": "Dead letters: what failed for good, why, and once more.",
    "handlers": "Who handles what; pause, resume, limit.",
    "workers": "The workers that are alive.",
    "schedules": "What is published when.",
    "keys": "API keys: create, list, revoke.",
    "bench": "Measure this machine (needs a checkout).",
}
"""Each is `app` in the module of its name."""


class LateCommands(TyperGroup):
    """Has the commands above by name and help line, and loads the one that is called, or completed."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command that the words name."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, loaded(name) if name in COMMANDS else command, rest


def declare(app: typer.Typer) -> None:
    """Give the app the names and help lines."""
    for name, help_line in COMMANDS.items():
        app.command(name, help=help_line)(_stands_in)


def loaded(name: str) -> Any:
    """The command itself."""
    app: typer.Typer = importlib.import_module(f"launcher.operate.{name}").app
    return typer.main.get_command(app)


def _stands_in() -> None:
    """Never called: LateCommands loads what this stands in for."""
