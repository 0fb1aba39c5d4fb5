"""`trunkline dead`: what failed for good, in groups or one by one; run again what was repaired."""

import asyncio
from typing import Annotated, Any, Final

import typer

from launcher.operate import options as opt
from launcher.operate.asking import Operator, command, group
from launcher.operate.bulk import confirm, preview, said_of
from launcher.operate.instants import instant
from launcher.operate.job_views import attempt, attempt_table, error_of, stack_parts
from launcher.operate.late import COMMANDS
from launcher.operate.saying import Facts, Said, console, is_terminal
from launcher.operate.tables import Column, Item, Table, at, member
from shared.api import path_of

_LOOK_EVERY_S: Final = 0.25

app = group(COMMANDS["dead"])


_Rate = Annotated[float, typer.Option(min=0.001, max=1000, help="Jobs a second.")]
_Detach = Annotated[bool, typer.Option("--detach", help="Return when it has begun.")]


@command(app, "ls")
async def list_dead(
    who: Operator,
    *,
    filters: opt.DeadFilter,
    limit: opt.Limit = 50,
    cursor: opt.CursorOption = None,
) -> Said:
    """List dead letters, the last to die first."""
    page = await who.pages("/v1/dead", limit, cursor, **filters.wanted())
    table = Table(
        [
            Column("ID", member("id"), rank=0),
            Column("DIED", at("finished_at")),
            Column("REASON", member("reason"), rank=3),
            Column("ATTEMPT", attempt, rank=4),
            Column("ERROR", error_of, rank=2, cut=True),
        ],
        page["items"],
        none="no dead letters",
    )
    return Said(page, [table], notes=opt.more(page))


@command(app, "groups")
async def list_groups(
    who: Operator,
    *,
    handler: opt.Handler = None,
    service: opt.Service = None,
    text: opt.SearchText = None,
    since: opt.Since = None,
    until: opt.Until = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="At most so many.")] = 50,
) -> Said:
    """List what fails alike as one, the latest first."""
    wanted = opt.given(handler=handler, service=service, text=text, since=since, until=until)
    page = await who.get("/v1/dead/groups", **wanted, limit=limit)
    table = Table(
        [
            Column("FINGERPRINT", member("fingerprint"), rank=0),
            Column("COUNT", member("count")),
            Column("HANDLER", member("handler"), rank=2),
            Column("LAST", at("last_at"), rank=4),
            Column("ERROR", _group_error, rank=3, cut=True),
            Column("WHERE", member("frame"), rank=5, cut=True),
        ],
        page["items"],
        none="no dead letters",
    )
    return Said(page, [table])


@command(app, "show")
async def show_dead(who: Operator, *, job_id: opt.JobId, full: opt.Full = False) -> Said:
    """Show a dead letter: its event, every failed attempt, and the stack, frames of libraries folded."""
    letter = await who.get(path_of("dead", job_id))
    event: Item = letter["event"] or {}
    facts = Facts(
        [
            ("id", letter["id"]),
            ("reason", letter["reason"]),
            ("error", error_of(letter)),
            ("died", instant(letter["finished_at"])),
            ("attempt", attempt(letter)),
            ("worker", letter["worker"]),
            ("trace", letter["trace_id"]),
            ("fingerprint", letter.get("fingerprint")),
            ("event", letter["event_id"]),
            ("type", letter["event_type"]),
            ("source", event.get("source")),
            ("data", opt.json_text(event.get("data"))),
            ("raw", letter["raw"]),
        ]
    )
    parts: list[Facts | Table | str] = [facts]
    if letter["attempts"]:
        parts.append(attempt_table(letter["attempts"]))
    return Said(letter, [*parts, *stack_parts(letter, full=full)])


@command(app, "replay")
async def replay_dead(
    who: Operator,
    *,
    ids: opt.JobIds = None,
    filters: opt.DeadFilter,
    everything: opt.All = False,
    rate: _Rate = 50,
    dry_run: opt.DryRun = False,
    yes: opt.Yes = False,
    detach: _Detach = False,
) -> Said:
    """Run dead jobs again, at a rate, and follow that; Ctrl-C leaves it at work."""
    order: Item = {"filter": opt.chosen(ids, everything=everything, filters=filters.wanted()), "rate": rate}
    matched = await who.post("/v1/dead/replay", order | {"dry_run": True})
    if dry_run:
        return Said(matched, [preview(matched)])
    if not matched["matched"]:
        return Said(matched, [Facts([("matched", 0)])])
    confirm(f"Run again {said_of(matched)}?", matched["matched"], yes=yes)
    replay = await who.post("/v1/dead/replay", order)
    if not detach:
        replay = await _followed(who, replay)
    return Said(replay, [_replay_facts(replay)])


async def _followed(who: Operator, replay: Item) -> Item:
    """The replay when it is not running any more."""
    bar: Any = None
    task: Any = None
    if is_terminal() and not who.as_json:
        from rich.progress import Progress  # noqa: PLC0415 - only a terminal pays for it

        bar = Progress(console=console(err=True), transient=True)
        bar.start()
        task = bar.add_task("", total=replay["matched"])
    try:
        while replay["status"] == "running":
            await asyncio.sleep(_LOOK_EVERY_S)
            replay = await who.get(path_of("dead", "replays", replay["id"]))
            if bar is not None:
                bar.update(task, completed=replay["replayed"] + replay["skipped"])
    finally:
        if bar is not None:
            bar.stop()
    return replay


def _replay_facts(replay: Item) -> Facts:
    return Facts(
        [
            ("replay", replay["id"]),
            ("status", replay["status"]),
            ("matched", replay["matched"]),
            ("queued again", replay["replayed"]),
            *((f"skipped: {why}", count) for why, count in replay["skipped_because"].items()),
        ]
    )


def _group_error(item: Item) -> str:
    return f"{item.get('error')}: {item.get('message')}"
