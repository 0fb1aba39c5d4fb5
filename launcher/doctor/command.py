"""`trunkline doctor`: a data folder or the environment in; findings on the terminal and an exit code out."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from launcher.data_folder import DEFAULT
from launcher.environment import Given

_FAULT = 1


def doctor(
    data: Annotated[
        Path, typer.Option(help="The folder of the system; without one, the environment's.")
    ] = DEFAULT,
    *,
    json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Examine a running system and its servers; exit code 1 when there is a fault, 0 with warnings alone."""
    # Other commands need not pay for the clients of three servers.
    from launcher.doctor.addresses import find  # noqa: PLC0415
    from launcher.doctor.examining import examine  # noqa: PLC0415
    from launcher.doctor.findings import Level, worst  # noqa: PLC0415
    from launcher.doctor.report import as_json, show  # noqa: PLC0415

    findings = asyncio.run(examine(find(data, Given(dict(os.environ)))))
    if json:
        typer.echo(as_json(findings))
    else:
        show(findings)
    raise typer.Exit(_FAULT if worst(findings) is Level.FAULT else 0)
