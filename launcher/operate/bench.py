"""`trunkline bench`: words in; the bench of this checkout run with them."""

import os
import subprocess
import sys
from pathlib import Path

import typer

from launcher.errors import CommandMissing
from launcher.operate.asking import ended
from launcher.operate.late import COMMANDS

app = typer.Typer(help=COMMANDS["bench"], add_completion=False, rich_markup_mode=None)
CHECKOUT = Path(__file__).parents[2]


@app.command(
    "bench",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
)
def bench(context: typer.Context) -> None:
    """Measure this machine: `python -m bench` with these words, `--help` among them (docs/performance.md)."""
    raise typer.Exit(ended(lambda: _run(context.args)))


def _run(words: list[str]) -> int:
    if not (CHECKOUT / "bench" / "__main__.py").is_file():
        raise CommandMissing("bench", "it needs a checkout of Trunkline, which has the folder bench")
    path = os.pathsep.join(filter(None, (str(CHECKOUT), os.environ.get("PYTHONPATH"))))
    environment = os.environ | {"PYTHONPATH": path}
    return subprocess.run([sys.executable, "-m", "bench", *words], env=environment, check=False).returncode  # noqa: S603 - ours
