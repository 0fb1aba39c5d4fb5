"""The cause why a job does not run in; what to do about it out."""

from typing import Any, Final

_WAIT: Final = "Nothing: it goes on by itself."
_ADVICE: Final = {
    "finished": "Nothing; a dead job runs again with `trunkline jobs retry {id}`.",
    "cancelled": "`trunkline jobs retry {id}` runs it after all.",
    "expired": "`trunkline jobs retry {id}` runs it all the same.",
    "cancelling": "Nothing: it ends at the handler's time limit at the latest.",
    "running": "Nothing; `trunkline jobs watch {id}` follows it.",
    "worker_silent": "Nothing, as long as another worker of the handler lives: `trunkline workers`.",
    "event_settled": "Publish the event anew: `trunkline events publish`.",
    "not_published": "Look at the bus (`trunkline status`) if this lasts longer than a moment.",
    "handler_unknown": "Start the service that has it; `trunkline handlers ls` names those that are known.",
    "waiting_for_retry": "Nothing; the error may need somebody: `trunkline jobs show {id}`.",
    "delayed": _WAIT,
    "no_worker": "Start a worker of its service, as `trunkline up --scale {service}=1`.",
    "paused": "`trunkline handlers resume {handler}`.",
    "concurrency_full": "Wait, or raise the limit: `trunkline handlers set {handler} --concurrency N`.",
    "workers_busy": "More workers, or `trunkline handlers set {handler} --worker-concurrency N`.",
    "rate_limited": "Wait, or raise the limit: `trunkline handlers set {handler} --rate N`.",
    "behind": "Wait, or start more workers.",
    "bus_away": "Bring NATS back: `trunkline status`, its log.",
    "in_hand": "Nothing: a moment.",
    "message_gone": "Publish the event again, under its id: `trunkline events publish --id`.",
    "unknown": "Show this to who runs the system: `trunkline jobs explain {id} --json`.",
}


def advice(code: str, job_id: str) -> str:
    """What helps, with the command to type; for a cause that is not known here, where to look."""
    handler = job_id.partition(":")[0]
    told: dict[str, Any] = {"id": job_id, "handler": handler, "service": handler.partition(".")[0]}
    return _ADVICE.get(code, "See docs/why.md.").format_map(told)
