"""`trunkline handlers`: who handles what, and under which limits."""

from typing import Annotated, Any

import typer

from launcher.operate import options as opt
from launcher.operate.asking import Operator, command, group, items_of
from launcher.operate.errors import Misused
from launcher.operate.late import COMMANDS
from launcher.operate.saying import Facts, Said
from launcher.operate.tables import Column, Item, Table, member
from shared.api import path_of

app = group(COMMANDS["handlers"])

_DEFAULT = "default"


def _limit(help_line: str) -> Any:
    return typer.Option(metavar="N|default", help=f"{help_line}; `default` is what the code says.")


@command(app, "ls")
async def list_handlers(who: Operator) -> Said:
    """List handlers by name, with their limits and how they stand."""
    page = await who.get("/v1/handlers")
    table = Table(
        [
            Column("HANDLER", member("name"), rank=0),
            Column("EVENT", member("event_type"), rank=6),
            Column("STATUS", _status),
            Column("WORKERS", member("workers"), rank=3),
            Column("RUNNING", member("running"), rank=2),
            Column("QUEUED", member("queued"), rank=4),
            Column("WAITING", member("waiting"), rank=4),
            Column("DEAD", member("dead"), rank=2),
            Column("CONCURRENCY", _concurrency, rank=5),
            Column("RATE", member("rate"), rank=5),
        ],
        items_of(page, who.api),
        none="no handler has announced itself",
    )
    return Said(page, [table])


@command(app, "pause")
async def pause_handler(who: Operator, *, name: opt.HandlerName, note: opt.Note = None) -> Said:
    """Let no job of the handler start until it is resumed; what runs goes on."""
    return await _changed(who, name, {"paused": True} | ({"note": note} if note else {}))


@command(app, "resume")
async def resume_handler(who: Operator, *, name: opt.HandlerName) -> Said:
    """Let its jobs start again."""
    return await _changed(who, name, {"paused": False})


@command(app, "set")
async def set_limits(
    who: Operator,
    *,
    name: opt.HandlerName,
    concurrency: Annotated[str | None, _limit("Jobs at a time, all workers together")] = None,
    worker_concurrency: Annotated[str | None, _limit("Jobs at a time in one worker")] = None,
    rate: Annotated[str | None, _limit("Starts in a second, all workers together")] = None,
) -> Said:
    """Change the handler's limits while it runs."""
    limits = {
        "concurrency": _number(concurrency, "--concurrency", int),
        "worker_concurrency": _number(worker_concurrency, "--worker-concurrency", int),
        "rate": _number(rate, "--rate", float),
    }
    given = (("concurrency", concurrency), ("worker_concurrency", worker_concurrency), ("rate", rate))
    changes = {option: limits[option] for option, text in given if text is not None}
    if not changes:
        raise Misused("nothing to set: say --concurrency, --worker-concurrency or --rate")
    return await _changed(who, name, changes)


async def _changed(who: Operator, name: str, changes: Item) -> Said:
    answer = await who.answer("PATCH", path_of("handlers", name), changes)
    handler: Item = answer.body
    facts = [
        ("handler", handler["name"]),
        ("status", _status(handler)),
        ("note", handler["note"]),
        ("concurrency", handler["concurrency"]),
        ("worker concurrency", handler["worker_concurrency"]),
        ("rate", handler["rate"]),
    ]
    return Said(handler, [Facts(facts)])


def _number(text: str | None, option: str, kind: type[int] | type[float]) -> float | None:
    if text is None or text == _DEFAULT:
        return None
    try:
        return kind(text)
    except ValueError:
        raise Misused(f"{option} {text}: give a number, or `{_DEFAULT}`") from None


def _status(handler: Item) -> str:
    return "paused" if handler["paused"] else "active"


def _concurrency(handler: Item) -> str:
    """All workers together / each."""
    return f"{handler['concurrency'] or '-'}/{handler['worker_concurrency']}"
