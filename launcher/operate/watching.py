"""One job, or all that run, in; a live view on a terminal, a line a change elsewhere, out."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import typer

from launcher.operate.asking import Operator
from launcher.operate.errors import Misused
from launcher.operate.following import code_of, followed
from launcher.operate.job_views import attempt, change_line, job_parts, running_table
from launcher.operate.saying import Said, console, is_terminal, screen_width
from launcher.operate.tables import plain, text_of
from shared.api import Unreachable

_EVERY_S: Final = 1.0
_BESIDE: Final = 3
"""Lines of the screen that the table leaves for titles and counts."""


async def watch_one(who: Operator, job_id: str) -> Said:
    """Follow the job to its end."""
    changes = followed(who, job_id)
    if who.as_json:
        job = await _last(changes)
        return Said(job, code=code_of([job["state"]]))
    job = await (_as_bar(changes) if is_terminal() else _as_lines(changes))
    return Said(job, job_parts(job) if is_terminal() else [], code=code_of([job["state"]]))


async def watch_all(who: Operator, **filters: object) -> Said:
    """Show what runs, until Ctrl-C; as JSON: what runs now."""
    if who.as_json:
        return Said(await _running(who, 200, filters))
    if not is_terminal():
        raise Misused(
            "this needs a terminal: see `trunkline jobs ls --state running`, or name a job to watch"
        )
    from rich.live import Live  # noqa: PLC0415 - only a terminal pays for it

    screen = console()
    with Live(console=screen, auto_refresh=False, vertical_overflow="crop") as live:
        while True:
            try:
                live.update(await _screen(who, screen.height, filters), refresh=True)
            except Unreachable as error:
                live.update(plain(f"{error}; trying again"), refresh=True)
            await asyncio.sleep(_EVERY_S)


async def _screen(who: Operator, height: int, filters: dict[str, object]) -> Any:
    from rich.console import Group  # noqa: PLC0415 - only a terminal pays for it

    page, counts = await asyncio.gather(
        _running(who, max(height - _BESIDE, 1), filters), who.get("/v1/jobs/counts", **filters)
    )
    told = "  ".join(
        f"{state} {count:,}{'+' if count == counts['cap'] else ''}"
        for state, count in counts["counts"].items()
    )
    return Group(told, "", running_table(page["items"]).renderable(screen_width()))


async def _running(who: Operator, limit: int, filters: dict[str, object]) -> dict[str, Any]:
    return await who.get("/v1/jobs", **filters, state="running", limit=min(limit, 200))


async def _last(changes: AsyncIterator[dict[str, Any]]) -> dict[str, Any]:
    job: dict[str, Any] = {}
    async for one in changes:
        job = one
    return job


async def _as_lines(changes: AsyncIterator[dict[str, Any]]) -> dict[str, Any]:
    job: dict[str, Any] = {}
    async for one in changes:
        job = one
        typer.echo(change_line(job))
    return job


async def _as_bar(changes: AsyncIterator[dict[str, Any]]) -> dict[str, Any]:
    from rich.progress import (  # noqa: PLC0415 - only a terminal pays for it
        BarColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    job: dict[str, Any] = {}
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console(), transient=True) as progress:
        task = progress.add_task("", total=None, note="")
        async for one in changes:
            job = one
            told: dict[str, Any] = job["progress"] or {"done": 0, "total": None, "note": ""}
            progress.update(
                task,
                description=f"{job['state']} {attempt(job) or ''}".strip(),
                completed=told["done"],
                total=told["total"] or None,
                note=text_of(told["note"]) if told["note"] else "",
            )
    return job
