"""Jobs as the API shows them in; tables and facts out."""

from collections.abc import Sequence
from typing import Any

from launcher.operate.instants import instant, took
from launcher.operate.options import json_text
from launcher.operate.saying import Facts
from launcher.operate.stacks import folded
from launcher.operate.tables import Column, Item, Table, at, member, text_of


def job_table(items: Sequence[Item], *, none: str = "no jobs") -> Table:
    """A line a job."""
    return Table(
        [
            Column("ID", member("id"), rank=0),
            Column("STATE", member("state")),
            Column("ATTEMPT", attempt, rank=3),
            Column("QUEUED", at("queued_at"), rank=2),
            Column("TOOK", _took, rank=4),
            Column("ERROR", error_of, rank=5, cut=True),
        ],
        items,
        none=none,
    )


def running_table(items: Sequence[Item]) -> Table:
    """What runs, for a look that is repeated."""
    return Table(
        [
            Column("ID", member("id"), rank=0),
            Column("ATTEMPT", attempt, rank=2),
            Column("STARTED", at("started_at")),
            Column("PROGRESS", progress_of, rank=3),
            Column("WORKER", member("worker"), rank=4, cut=True),
        ],
        items,
        none="nothing runs",
    )


def job_parts(job: Item, *, full: bool = False) -> list[Facts | Table | str]:
    """All that is known of one job: facts, failed attempts, the stack of the last error."""
    parts: list[Facts | Table | str] = [job_facts(job)]
    if job["attempts"]:
        parts.append(attempt_table(job["attempts"]))
    return [*parts, *stack_parts(job, full=full)]


def stack_parts(item: Item, *, full: bool) -> list[str]:
    """The stack of the last error of a job or dead letter, if any: in full, or frames of libraries folded."""
    stack = (item["error"] or {}).get("stack")
    if not stack:
        return []
    return [stack.rstrip("\n") if full else folded(stack)]


def job_facts(job: Item) -> Facts:
    """A job, without its stack."""
    return Facts(
        [
            ("id", job["id"]),
            ("state", job["state"]),
            ("reason", job["reason"]),
            ("error", error_of(job)),
            ("attempt", attempt(job)),
            ("progress", progress_of(job)),
            ("queued", instant(job["queued_at"])),
            ("started", instant(job["started_at"])),
            ("finished", instant(job["finished_at"])),
            ("due", instant(job["due_at"])),
            ("took", _took(job)),
            ("worker", job["worker"]),
            ("event", f"{job['event_id']} ({job['event_type']})"),
            ("trace", job["trace_id"]),
            ("fingerprint", job.get("fingerprint")),
            ("result", json_text(job["result"])),
            ("caused", ", ".join(f"{one['type']} {one['id']}" for one in job["caused"]) or None),
        ]
    )


def attempt_table(attempts: Sequence[Item]) -> Table:
    """The attempts that failed."""
    return Table(
        [
            Column("ATTEMPT", member("attempt"), rank=0),
            Column("STARTED", at("started_at"), rank=3),
            Column("TOOK", _took, rank=4),
            Column("OUTCOME", member("outcome"), rank=2),
            Column("ERROR", error_of, rank=1, cut=True),
            Column("WORKER", member("worker"), rank=5, cut=True),
        ],
        attempts,
    )


def attempt(job: Item) -> str | None:
    """`2/5`."""
    return f"{job['attempt']}/{job['max_attempts']}" if job.get("attempt") else None


def error_of(job: Item) -> str | None:
    """`RelayBusy: try again`; None without an error."""
    error: dict[str, Any] | None = job.get("error")
    return f"{error.get('type')}: {error.get('message')}" if error else None


def progress_of(job: Item) -> str | None:
    """`30/100 pages`; None for a job that tells nothing."""
    progress = job.get("progress")
    if not progress:
        return None
    return f"{progress['done']:g}/{progress['total']:g} {progress['note']}".strip()


def change_line(job: Item) -> str:
    """A job's state on one line, for output that goes elsewhere."""
    told = (job["id"], job["state"], attempt(job), progress_of(job), error_of(job))
    return "\t".join(text_of(one) for one in told)


def _took(job: Item) -> str | None:
    return took(job.get("started_at"), job.get("finished_at"))
