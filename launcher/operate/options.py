"""Options that several commands share, by what they mean."""

import enum
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import typer

from launcher.operate import completing
from launcher.operate.errors import Misused
from launcher.operate.instants import past


class JobState(enum.Enum):
    """The states of a job."""

    queued = "queued"
    running = "running"
    retrying = "retrying"
    succeeded = "succeeded"
    dead = "dead"
    cancelled = "cancelled"
    expired = "expired"


class Death(enum.Enum):
    """Why jobs die."""

    exhausted = "exhausted"
    non_retryable = "non_retryable"
    invalid = "invalid"
    expired = "expired"
    poison = "poison"


JobId = Annotated[str, typer.Argument(metavar="JOB", help="A job's id: <handler>:<event id>.")]
JobIds = Annotated[
    list[str] | None, typer.Argument(metavar="[JOB]...", help="Ids of jobs, in place of a filter.")
]
HandlerName = Annotated[
    str,
    typer.Argument(
        metavar="HANDLER",
        help="As `trunkline handlers ls` names it.",
        autocompletion=completing.handler_names,
    ),
]
ScheduleName = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="As `trunkline schedules ls` names it.", autocompletion=completing.schedule_names
    ),
]
Handler = Annotated[
    str | None, typer.Option(help="Of this handler.", autocompletion=completing.handler_names)
]
Service = Annotated[
    str | None, typer.Option(help="Of this service.", autocompletion=completing.service_names)
]
Worker = Annotated[str | None, typer.Option(help="On this worker.", autocompletion=completing.worker_ids)]
StateOption = Annotated[JobState | None, typer.Option(help="In this state.")]
Reason = Annotated[Death | None, typer.Option(help="That died of this.")]
Error = Annotated[str | None, typer.Option(help="With this type of the last error.")]
SearchText = Annotated[
    str | None,
    typer.Option(help="A whole id (job, event, trace), or a part of error, handler or event type."),
]
EventId = Annotated[str | None, typer.Option("--event", metavar="ID", help="Of this event.")]
Fingerprint = Annotated[str | None, typer.Option(help="Of this group of failures (`trunkline dead groups`).")]
Since = Annotated[
    str | None, typer.Option(metavar="WHEN", help="From then on: 15m, 2h, 1d ago, or RFC 3339.")
]
Until = Annotated[str | None, typer.Option(metavar="WHEN", help="Before then: the same.")]
Limit = Annotated[int, typer.Option(min=1, max=100_000, help="At most so many.")]
CursorOption = Annotated[str | None, typer.Option(help="Go on where a list ended.")]
All = Annotated[bool, typer.Option("--all", help="Every one; nothing else beside it.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Full = Annotated[bool, typer.Option("--full", help="The whole stack, with the frames of libraries.")]
Note = Annotated[str | None, typer.Option(help="Why.")]


@dataclass(frozen=True, kw_only=True)
class DeadFilter:
    """Which dead jobs."""

    handler: Handler = None
    service: Service = None
    reason: Reason = None
    error: Error = None
    fingerprint: Fingerprint = None
    text: SearchText = None
    since: Since = None
    until: Until = None

    def wanted(self) -> dict[str, Any]:
        """The filter as the API takes it."""
        return given(**asdict(self))


@dataclass(frozen=True, kw_only=True)
class JobFilter:
    """Which jobs."""

    state: StateOption = None
    handler: Handler = None
    service: Service = None
    worker: Worker = None
    error: Error = None
    text: SearchText = None
    event: EventId = None
    fingerprint: Fingerprint = None
    since: Since = None
    until: Until = None

    def wanted(self) -> dict[str, Any]:
        """The filter as the API takes it."""
        wanted = given(**asdict(self))
        return {"event_id" if name == "event" else name: value for name, value in wanted.items()}


def given(**options: object) -> dict[str, Any]:
    """The options that were given, as the API takes them: instants for `since` and `until`."""
    found: dict[str, Any] = {}
    for name, value in options.items():
        if value is None:
            continue
        known = past(str(value), f"--{name}") if name in {"since", "until"} else value
        found[name] = known.value if isinstance(known, enum.Enum) else known
    return found


def chosen(ids: list[str] | None, *, everything: bool, filters: Mapping[str, Any]) -> dict[str, Any]:
    """What an order is about: ids, a filter, or {"all": true}; Misused when it is nothing, or two of them."""
    ways = [
        name for name, is_given in (("ids", ids), ("--all", everything), ("a filter", filters)) if is_given
    ]
    if not ways:
        raise Misused("which? name ids, filter (--handler, --error, --since, ...), or say --all")
    if len(ways) > 1:
        raise Misused(f"{' and '.join(ways)} together: take one of them")
    if ids:
        return {"ids": ids}
    return {"all": True} if everything else dict(filters)


def more(page: Mapping[str, Any]) -> list[str]:
    """What to type for the next page, where there is one."""
    return [f"more with --cursor {page['next']}"] if page.get("next") else []


def json_text(value: object) -> str | None:
    """A value as JSON on one line; None stays None."""
    if value is None:
        return None
    import msgspec  # noqa: PLC0415 - what has no such value does not pay for it

    return msgspec.json.encode(value).decode()
