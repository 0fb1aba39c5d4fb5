"""`trunkline events`: publish, and see what became of it."""

from typing import Annotated, Any, Final

import typer

from launcher.operate import completing
from launcher.operate import options as opt
from launcher.operate.asking import Operator, command, group
from launcher.operate.data_given import json_given
from launcher.operate.errors import Exit
from launcher.operate.following import code_of, ends
from launcher.operate.instants import coming, instant
from launcher.operate.job_views import job_table
from launcher.operate.late import COMMANDS
from launcher.operate.saying import Facts, Said
from launcher.operate.tables import Column, Item, Table, at, member
from shared.api import path_of

SOURCE: Final = "/trunkline/cli"

app = group(COMMANDS["events"])

_EventType = Annotated[
    str, typer.Argument(metavar="TYPE", help="As in docs/events.md.", autocompletion=completing.event_types)
]
_Data = Annotated[str, typer.Argument(metavar="DATA", help="JSON; `-` reads stdin, `@file` a file.")]
_Moment = Annotated[str | None, typer.Option(metavar="WHEN", help="In 15m, 2h, 1d, or at RFC 3339.")]
_Subject = Annotated[str | None, typer.Option(help="What it happened to.")]
_Source = Annotated[str, typer.Option(help="Where it happened.")]
_Id = Annotated[
    str | None,
    typer.Option("--id", help="Unique with its source: the same again does nothing."),
]
_Wait = Annotated[bool, typer.Option("--wait", help="Wait for its jobs; exit code 1: one is dead.")]
_TypeOption = Annotated[
    str | None, typer.Option("--type", help="Of this type.", autocompletion=completing.event_types)
]


@command(app, "ls")
async def list_events(
    who: Operator,
    *,
    event_type: _TypeOption = None,
    since: opt.Since = None,
    until: opt.Until = None,
    limit: opt.Limit = 50,
    cursor: opt.CursorOption = None,
) -> Said:
    """List accepted events, newest first."""
    wanted = opt.given(type=event_type, since=since, until=until)
    page = await who.pages("/v1/events", limit, cursor, **wanted)
    table = Table(
        [
            Column("ID", member("id"), rank=0),
            Column("TYPE", member("type")),
            Column("ACCEPTED", at("accepted_at"), rank=2),
            Column("STATUS", _status, rank=3),
            Column("SUBJECT", member("subject"), rank=4, cut=True),
        ],
        page["items"],
        none="no events",
    )
    return Said(page, [table], notes=opt.more(page))


@command(app, "show")
async def show_event(
    who: Operator, *, event_id: Annotated[str, typer.Argument(metavar="EVENT", help="An event's id.")]
) -> Said:
    """Show an event, its jobs, and what they caused."""
    event = await who.get(path_of("events", event_id))
    facts = Facts(
        [
            ("id", event["id"]),
            ("type", event["type"]),
            ("source", event["source"]),
            ("subject", event["subject"]),
            ("status", _status(event)),
            ("accepted", instant(event["accepted_at"])),
            ("published", instant(event["published_at"])),
            ("settled", instant(event["settled_at"])),
            ("trace", event["trace_id"]),
            ("cause", event["causation_id"]),
            ("data", opt.json_text(event["data"])),
        ]
    )
    parts: list[Facts | Table | str] = [facts, job_table(event["jobs"])]
    if event["caused"]:
        columns = [Column("CAUSED", member("id"), rank=0), Column("TYPE", member("type"))]
        parts.append(Table(columns, event["caused"]))
    return Said(event, parts)


@command(app, "publish")
async def publish_event(
    who: Operator,
    *,
    event_type: _EventType,
    content: _Data,
    event_id: _Id = None,
    source: _Source = SOURCE,
    subject: _Subject = None,
    deliver_at: _Moment = None,
    expires_at: _Moment = None,
    wait: _Wait = False,
) -> Said:
    """Publish an event; with --wait, follow its jobs to their end."""
    from shared.contracts import STRUCTURED_TYPE, new_id  # noqa: PLC0415 - help and completion need not pay

    document: dict[str, Any] = {
        "specversion": "1.0",
        "id": event_id or new_id(),
        "source": source,
        "type": event_type,
        "data": json_given(content, "DATA"),
    }
    told = {
        "subject": subject,
        "deliverat": coming(deliver_at, "--deliver-at"),
        "expirytime": coming(expires_at, "--expires-at"),
    }
    document |= {name: value for name, value in told.items() if value is not None}
    answer = await who.answer("POST", "/v1/events", document, content_type=STRUCTURED_TYPE)
    accepted: dict[str, Any] = answer.body
    notes = ["it was accepted before"] if answer.headers.get("trunkline-duplicate") else []
    if not accepted["jobs"]:
        notes.append("no handler of this type is known: it waits for none")
    if wait:
        return await _waited(who, accepted, notes)
    facts = Facts(
        [
            ("event", accepted["event_id"]),
            *(("job", job["id"]) for job in accepted["jobs"]),
            ("trace", accepted["trace_id"]),
        ]
    )
    return Said(accepted, [facts], notes=notes)


async def _waited(who: Operator, accepted: dict[str, Any], notes: list[str]) -> Said:
    """Its jobs as they end, on stderr; then the event as it stands."""
    states: list[str] = []
    async for job in ends(who, [job["id"] for job in accepted["jobs"]]):
        states.append(job["state"])
        if not who.as_json:
            typer.echo(f"{job['state']}  {job['id']}", err=True)
    event = await who.get(path_of("events", accepted["event_id"]))
    return Said(event, [job_table(event["jobs"])], notes=notes, code=code_of(states) if states else Exit.DONE)


def _status(event: Item) -> str:
    if event.get("settled_at"):
        return "settled"
    return "published" if event.get("published_at") else "accepted"
