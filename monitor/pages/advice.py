"""Why a job does not run, by the code of the gateway in, what helps out; pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from monitor.pages.jobs import jobs_url

_NOTHING: Final = "Nothing is to be done."
_WORDS: Final = {
    "cancelling": "Nothing is to be done; its time limit ends it at the latest.",
    "worker_silent": "It is taken over by itself when the lease ends. For that, a worker must be there.",
    "event_settled": "Publish the event anew, so that this handler gets it too.",
    "not_published": "A moment. If its bus is away: bring the bus back; the event waits for it in Postgres.",
    "handler_unknown": "Start the service that has this handler.",
    "waiting_for_retry": "Nothing, unless the error needs somebody.",
    "delayed": _NOTHING,
    "no_worker": "Start a worker of its service.",
    "paused": "Resume the handler when the reason for the pause is gone.",
    "concurrency_full": "Wait, or raise the handler's limit over all workers.",
    "workers_busy": "Start more workers, or let each run more at a time.",
    "rate_limited": "Wait, or raise the handler's rate.",
    "behind": "Wait; more workers make it faster.",
    "bus_away": "Bring NATS back.",
    "in_hand": "A moment.",
    "message_gone": "Publish the event again under its id: only the jobs that are missing run.",
    "unknown": "This should not be: please report it with the facts here.",
}
_LOOKS: Final = {
    "worker_silent": ("/workers", "Workers"),
    "no_worker": ("/workers", "Workers"),
    "behind": ("/workers", "Workers"),
}
_OF_HANDLER: Final = frozenset({"paused", "concurrency_full", "rate_limited", "handler_unknown"})
_INSTANTS: Final = frozenset({"since", "until", "accepted_at", "published_at", "settled_at", "seen_at"})
# The page shows these in their own places.
_ELSEWHERE: Final = frozenset(
    {"attempt", "max_attempts", "worker", "handler", "error", "is_exact", "bus_is_away"}
)


@dataclass(frozen=True)
class Fact:
    """What a cause rests on; `is_instant` where it is RFC 3339."""

    name: str
    value: str
    is_instant: bool


@dataclass(frozen=True)
class Advice:
    """A cause, its facts, and what helps; `look` is the page where that is to be seen, and its name."""

    sentence: str
    helps: str
    facts: tuple[Fact, ...]
    look: tuple[str, str] | None


def advice(cause: Mapping[str, Any], handler: str) -> Advice:
    """What to say about one cause of GET /v1/jobs/{id}/explain; codes that are new are told as they are."""
    code = cause["code"]
    look = _LOOKS.get(code)
    if code in _OF_HANDLER:
        look = (f"/handlers/{quote(handler, safe='')}", "Handler")
    elif code == "workers_busy":
        look = (jobs_url("running", f"handler:{handler}"), "What they run")
    return Advice(cause["sentence"], _WORDS.get(code, ""), _facts(cause["facts"]), look)


def _facts(told: Mapping[str, Any]) -> tuple[Fact, ...]:
    return tuple(
        Fact(name.removesuffix("_at").replace("_", " "), str(value), name in _INSTANTS)
        for name, value in told.items()
        if name not in _ELSEWHERE and value is not None and not isinstance(value, dict | list)
    )
