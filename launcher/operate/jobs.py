"""`trunkline jobs`: where jobs stand, why, and orders to them."""

from typing import Annotated, Any

import typer

from launcher.operate import options as opt
from launcher.operate.advice import advice
from launcher.operate.asking import Operator, command, group
from launcher.operate.bulk import order_many, order_one
from launcher.operate.errors import Misused
from launcher.operate.job_views import job_parts, job_table
from launcher.operate.late import COMMANDS
from launcher.operate.saying import Facts, Said
from launcher.operate.tables import plain, text_of
from launcher.operate.watching import watch_all, watch_one
from shared.api import path_of

app = group(COMMANDS["jobs"])

JobToWatch = Annotated[
    str | None, typer.Argument(metavar="[JOB]", help="Follow this one; else show what runs.")
]


@command(app, "ls")
async def list_jobs(
    who: Operator,
    *,
    filters: opt.JobFilter,
    limit: opt.Limit = 50,
    cursor: opt.CursorOption = None,
) -> Said:
    """List jobs, newest first."""
    page = await who.pages("/v1/jobs", limit, cursor, **filters.wanted())
    return Said(page, [job_table(page["items"])], notes=opt.more(page))


@command(app, "show")
async def show_job(who: Operator, *, job_id: opt.JobId, full: opt.Full = False) -> Said:
    """Show one job: its state, result, failed attempts, and stack, frames of libraries folded."""
    job = await who.get(path_of("jobs", job_id))
    return Said(job, job_parts(job, full=full))


@command(app, "watch")
async def watch_jobs(
    who: Operator,
    *,
    job_id: JobToWatch = None,
    handler: opt.Handler = None,
    service: opt.Service = None,
    worker: opt.Worker = None,
) -> Said:
    """Follow a job to its end (exit code 0 succeeded, 1 dead, 4 cancelled or expired), or see what runs."""
    filters = opt.given(handler=handler, service=service, worker=worker)
    if job_id is None:
        return await watch_all(who, **filters)
    if filters:
        raise Misused("a job and a filter together: take one of them")
    return await watch_one(who, job_id)


@command(app, "explain")
async def explain_job(who: Operator, *, job_id: opt.JobId) -> Said:
    """Say the one cause why a job does not run, and what to do."""
    found = await who.get(path_of("jobs", job_id, "explain"))
    cause = found["cause"]
    facts: list[tuple[str, object]] = [
        ("state", found["state"]),
        ("cause", cause["code"]),
        ("because", cause["sentence"]),
        *((name, _told(value)) for name, value in cause["facts"].items()),
        ("do", plain(advice(cause["code"], found["id"]))),
        *(("besides", f"{other['code']}: {other['sentence']}") for other in found["also"]),
    ]
    return Said(found, [Facts(facts)])


@command(app, "cancel")
async def cancel_jobs(
    who: Operator,
    *,
    ids: opt.JobIds = None,
    filters: opt.JobFilter,
    everything: opt.All = False,
    dry_run: opt.DryRun = False,
    yes: opt.Yes = False,
) -> Said:
    """Cancel one job, or all that match a filter and have not ended."""
    wanted = opt.chosen(ids, everything=everything, filters=filters.wanted())
    return await _ordered(who, "cancel", wanted, dry_run=dry_run, yes=yes)


@command(app, "retry")
async def retry_jobs(
    who: Operator,
    *,
    ids: opt.JobIds = None,
    filters: opt.JobFilter,
    everything: opt.All = False,
    dry_run: opt.DryRun = False,
    yes: opt.Yes = False,
) -> Said:
    """Run one job again, or all that match a filter and are dead, cancelled or expired."""
    wanted = opt.chosen(ids, everything=everything, filters=filters.wanted())
    return await _ordered(who, "retry", wanted, dry_run=dry_run, yes=yes)


async def _ordered(who: Operator, order: str, wanted: dict[str, Any], *, dry_run: bool, yes: bool) -> Said:
    """One job by its id is ordered as one, whatever its state: the answer is about that job."""
    if len(one := wanted.get("ids", [])) == 1 and not dry_run:
        return await order_one(who, path_of("jobs", one[0], order))
    return await order_many(who, order, wanted, dry_run=dry_run, yes=yes)


def _told(value: object) -> object:
    """A fact: an error of a cause is a document of its own."""
    if isinstance(value, dict):
        return ", ".join(f"{name}: {text_of(one)}" for name, one in value.items())
    return value
