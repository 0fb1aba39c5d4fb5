"""`trunkline schedules`: what is published when; entered, edited, looked at before."""

from typing import Annotated, Any

import typer

from launcher.operate import options as opt
from launcher.operate.asking import Operator, command, group
from launcher.operate.data_given import json_given
from launcher.operate.errors import Exit, Misused
from launcher.operate.following import code_of, ends
from launcher.operate.instants import instant
from launcher.operate.late import COMMANDS
from launcher.operate.saying import Facts, Said
from launcher.operate.schedule_views import fires, schedule_facts, schedule_table
from launcher.operate.tables import Item
from shared.api import path_of

app = group(COMMANDS["schedules"])

Cron = Annotated[str | None, typer.Option(help='"minute hour day month weekday", as "0 9 * * MON-FRI".')]
Every = Annotated[str | None, typer.Option(help="In place of --cron: a period, as 30s, 5m, 2h.")]
Zone = Annotated[str | None, typer.Option("--timezone", help="IANA name; UTC when not given.")]
Type = Annotated[str | None, typer.Option("--type", help="The type of the event that a tick publishes.")]
TickData = Annotated[str | None, typer.Option("--event-data", help="The event's data: JSON, `-` or `@file`.")]
Misfire = Annotated[str | None, typer.Option(help="Missed ticks: fire_once, fire_all or skip.")]
CatchUp = Annotated[str | None, typer.Option(help="A missed tick older than this does not fire.")]
Overlap = Annotated[str | None, typer.Option(help="allow, or skip while an earlier tick's jobs run.")]
Jitter = Annotated[str | None, typer.Option(help="A tick fires up to so much later.")]
StartsAt = Annotated[str | None, typer.Option(help="No tick is before: RFC 3339.")]
EndsAt = Annotated[str | None, typer.Option(help="No tick is after: RFC 3339.")]


@command(app, "ls")
async def list_schedules(who: Operator, *, limit: opt.Limit = 50, cursor: opt.CursorOption = None) -> Said:
    """List schedules by name."""
    page = await who.pages("/v1/schedules", limit, cursor)
    return Said(page, [schedule_table(page["items"])], notes=opt.more(page))


@command(app, "show")
async def show_schedule(who: Operator, *, name: opt.ScheduleName) -> Said:
    """Show one schedule."""
    schedule = await who.get(path_of("schedules", name))
    return Said(schedule, [schedule_facts(schedule)])


@command(app, "add")
async def add_schedule(
    who: Operator,
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Lower case letters, digits, `.`, `_`, `-`.")],
    event_type: Annotated[str, typer.Option("--type", help="The type of the event that a tick publishes.")],
    cron: Cron = None,
    every: Every = None,
    timezone: Zone = None,
    event_data: TickData = None,
    misfire: Misfire = None,
    catch_up: CatchUp = None,
    overlap: Overlap = None,
    jitter: Jitter = None,
    starts_at: StartsAt = None,
    ends_at: EndsAt = None,
) -> Said:
    """Enter a schedule; its first tick is the first one after now."""
    definition = _fields(
        name=name,
        type=event_type,
        cron=cron,
        every=every,
        timezone=timezone,
        data=event_data,
        misfire=misfire,
        catch_up=catch_up,
        overlap=overlap,
        jitter=jitter,
        starts_at=starts_at,
        ends_at=ends_at,
    )
    schedule = await who.post("/v1/schedules", definition)
    return Said(schedule, [schedule_facts(schedule)])


@command(app, "edit")
async def edit_schedule(
    who: Operator,
    *,
    name: opt.ScheduleName,
    event_type: Type = None,
    cron: Cron = None,
    every: Every = None,
    timezone: Zone = None,
    event_data: TickData = None,
    misfire: Misfire = None,
    catch_up: CatchUp = None,
    overlap: Overlap = None,
    jitter: Jitter = None,
    starts_at: StartsAt = None,
    ends_at: EndsAt = None,
) -> Said:
    """Change what is given; the rest stays. Refused when somebody else edits it in the same moment."""
    changes = _fields(
        type=event_type,
        cron=cron,
        every=every,
        timezone=timezone,
        data=event_data,
        misfire=misfire,
        catch_up=catch_up,
        overlap=overlap,
        jitter=jitter,
        starts_at=starts_at,
        ends_at=ends_at,
    )
    if not changes:
        raise Misused("nothing to change: say --cron, --every, --event-data, ...")
    path = path_of("schedules", name)
    answer = await who.answer("PATCH", path, changes, if_match=await _etag(who, path))
    return Said(answer.body, [schedule_facts(answer.body)])


@command(app, "pause")
async def pause_schedule(who: Operator, *, name: opt.ScheduleName, note: opt.Note = None) -> Said:
    """Skip its ticks until it is resumed."""
    schedule = await who.post(path_of("schedules", name, "pause"), {"note": note} if note else None)
    return Said(schedule, [schedule_facts(schedule)])


@command(app, "resume")
async def resume_schedule(who: Operator, *, name: opt.ScheduleName) -> Said:
    """Let it fire again, from its next tick on."""
    schedule = await who.post(path_of("schedules", name, "resume"))
    return Said(schedule, [schedule_facts(schedule)])


@command(app, "run")
async def run_schedule(
    who: Operator,
    *,
    name: opt.ScheduleName,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for its jobs; 1: one is dead.")] = False,
) -> Said:
    """Publish its event now, also while it is paused."""
    ran = await who.post(path_of("schedules", name, "run"))
    facts: list[tuple[str, object]] = [("event", ran["event_id"]), ("tick", instant(ran["tick"]))]
    states: dict[str, str] = {}
    if wait:
        async for job in ends(who, [job["id"] for job in ran["jobs"]]):
            states[job["id"]] = job["state"]
    facts += [("job", f"{job['id']} {states.get(job['id'], '')}".strip()) for job in ran["jobs"]]
    return Said(ran, [Facts(facts)], code=code_of(list(states.values())) if states else Exit.DONE)


@command(app, "preview")
async def preview_schedule(
    who: Operator,
    *,
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="Of this schedule, with the changes that are given."),
    ] = None,
    cron: Cron = None,
    every: Every = None,
    timezone: Zone = None,
    jitter: Jitter = None,
    starts_at: StartsAt = None,
    ends_at: EndsAt = None,
    count: Annotated[int, typer.Option(min=1, max=100, help="How many ticks.")] = 5,
) -> Said:
    """Show ticks to come: of a schedule, of one after a change, or of one that is not entered yet."""
    changes = _fields(
        cron=cron, every=every, timezone=timezone, jitter=jitter, starts_at=starts_at, ends_at=ends_at
    )
    if name is not None and not changes:
        found = await who.get(path_of("schedules", name, "preview"), count=count)
    elif name is None and cron is None and every is None:
        raise Misused("of what? name a schedule, or say --cron or --every")
    else:
        asked: Item = {"name": name} if name else {"name": "preview", "type": _ANY_TYPE}
        found = await who.post("/v1/schedules/preview", asked | changes | {"count": count})
    plain = [found["plain"]] if found.get("plain") else []
    return Said(found, [fires(found["items"])], notes=plain)


@command(app, "rm")
async def remove_schedule(who: Operator, *, name: opt.ScheduleName) -> Said:
    """Remove a schedule for good; what became of its ticks stays."""
    path = path_of("schedules", name)
    await who.answer("DELETE", path, if_match=await _etag(who, path))
    return Said({"name": name, "removed": True}, [Facts([("removed", name)])])


_ANY_TYPE = "cron.cleanup"
"""A whole definition has a type; its times do not depend on it."""


async def _etag(who: Operator, path: str) -> str:
    """What was read is what is edited: a change in between is refused."""
    return (await who.answer("GET", path)).headers.get("etag", "*")


def _fields(**given: Any) -> Item:
    fields = {name: value for name, value in given.items() if value is not None}
    if "cron" in fields and "every" in fields:
        raise Misused("--cron and --every together: take one of them")
    if "data" in fields:
        fields["data"] = json_given(fields["data"], "--event-data")
    return fields
