"""The command line: words in; a command run, one line for an expected error, an exit code, out."""

from __future__ import annotations

import asyncio
import enum
import importlib
import importlib.util
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from launcher.data_folder import DEFAULT, DataFolder
from launcher.detach import up_detached
from launcher.doctor.command import doctor
from launcher.down import down as stop_system
from launcher.environment import Given
from launcher.errors import CommandMissing, LauncherError, NotRunning
from launcher.operate.late import EXIT_CODES, LateCommands, declare
from launcher.state import read_state
from launcher.status import Status
from launcher.status import status as look_at_system
from launcher.status_table import status_table
from launcher.up import UpOptions
from launcher.up import up as run_system

_NOT_RUNNING = 3

app = typer.Typer(
    name="trunkline",
    help="Run the whole of Trunkline on this machine, without Docker, and look after any system that runs.",
    no_args_is_help=True,
    cls=LateCommands,
    epilog=EXIT_CODES,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


class Bus(enum.Enum):
    """The buses that a drill can be run on."""

    redis = "redis"
    nats = "nats"


class Broken(enum.Enum):
    """The rules that a drill can be made to work without."""

    nothing = ""
    fence = "fence"


Data = Annotated[Path, typer.Option(help="The folder in which the system keeps everything.")]


@app.command()
def up(
    data: Data = DEFAULT,
    port: Annotated[int, typer.Option(help="The gateway's port; 0 picks a free one.")] = 8000,
    monitor_port: Annotated[int, typer.Option(help="The monitor's port; 0 picks a free one.")] = 8001,
    scale: Annotated[
        list[str] | None,
        typer.Option(metavar="SERVICE=N", help="Run N processes of a service; may be repeated."),
    ] = None,
    *,
    detach: Annotated[bool, typer.Option("--detach", help="Return when the system is ready.")] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Keep the services' lines off the terminal.")
    ] = False,
) -> None:
    """Start servers and services, and keep them running until Ctrl-C."""
    options = UpOptions(
        data=data, port=port, monitor_port=monitor_port, scale=tuple(scale or ()), quiet=quiet
    )
    if detach:
        typer.echo(up_detached(options))
    else:
        asyncio.run(run_system(options))


@app.command()
def down(data: Data = DEFAULT) -> None:
    """Drain and stop the system; also fine when nothing runs."""
    typer.echo(stop_system(data))


@app.command()
def status(
    data: Data = DEFAULT,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show what runs; exit code 3 when nothing does."""
    found = asyncio.run(look_at_system(data))
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    else:
        _show(found)
    raise typer.Exit(0 if found.state == "running" else _NOT_RUNNING)


@app.command()
def migrate(data: Data = DEFAULT) -> None:
    """Bring all tables to this version's form: in DATABASE_URL, else in the running system."""
    from launcher.migrate import migrate as migrate_tables  # noqa: PLC0415 - other commands need not pay for it

    applied = asyncio.run(migrate_tables(_database(data)))
    for name in applied:
        typer.echo(f"migrated {name}")
    if not applied:
        typer.echo("nothing to migrate")


@app.command()
def demo(data: Data = DEFAULT) -> None:
    """Show the system at work on real input."""
    if importlib.util.find_spec("launcher.demo") is None:
        raise CommandMissing("demo", "install Trunkline with its launcher complete")
    raise typer.Exit(importlib.import_module("launcher.demo").main(data))


@app.command()
def load(
    data: Data = DEFAULT,
    rate: Annotated[float, typer.Option(min=0.1, max=2000, help="Requests a second.")] = 20,
    seconds: Annotated[int, typer.Option(min=1, help="For how long.")] = 30,
    seed: Annotated[int | None, typer.Option(help="Decides what is sent; any when not given.")] = None,
) -> None:
    """Send mixed traffic to the running system: users, orders, notifications, mails, files, reports."""
    from launcher.load import LoadOptions  # noqa: PLC0415 - other commands need not pay for it
    from launcher.load import load as run_load  # noqa: PLC0415 - the same

    options = LoadOptions(data=data, rate=rate, seconds=seconds)
    raise typer.Exit(run_load(options if seed is None else replace(options, seed=seed)))


@app.command()
def drill(
    *,
    seconds: Annotated[int, typer.Option(min=1, help="For how long processes are killed.")] = 120,
    bus: Annotated[Bus, typer.Option(help="The bus that the events take, which is killed, too.")] = Bus.redis,
    jobs: Annotated[int, typer.Option(min=1, help="How many jobs.")] = 20_000,
    workers: Annotated[int, typer.Option(min=1, help="How many worker processes.")] = 4,
    seed: Annotated[int | None, typer.Option(help="Decides who is killed; any when not given.")] = None,
    breaks: Annotated[
        Broken, typer.Option("--break", hidden=True, help="A test's tool: work without a rule, and fail.")
    ] = Broken.nothing,
) -> None:
    """Prove on this machine that nothing is lost: kill parts of a system of its own under load."""
    from launcher.drill.command import drill as run_drill  # noqa: PLC0415 - other commands need not pay for it
    from launcher.drill.options import DrillOptions  # noqa: PLC0415 - the same

    options = DrillOptions(seconds=seconds, bus=bus.value, jobs=jobs, workers=workers, breaks=breaks.value)
    raise typer.Exit(run_drill(options if seed is None else replace(options, seed=seed)))


declare(app)
app.command()(doctor)


def main() -> None:
    """Run the command line; the entry point `trunkline`."""
    try:
        app(prog_name="trunkline")
    except LauncherError as error:
        sys.stderr.write(f"trunkline: {error}\n")
        sys.exit(error.exit_code)


def _show(found: Status) -> None:
    typer.echo(status_table(found))


def _database(data: Path) -> str:
    folder = DataFolder.at(data)
    state = read_state(folder.state_file) if folder.holder() else None
    url = Given(dict(os.environ)).get("DATABASE_URL") or (state.postgres if state else None)
    if url is None:
        raise NotRunning(folder.path, "start it with `trunkline up`, or set DATABASE_URL")
    return url
