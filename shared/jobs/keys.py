"""The names of all that jobs keep in Redis; the keys of a handler share a hash tag, for Redis Cluster."""

from shared.bus.redis_streams import queue_keys

HANDLERS = queue_keys.HANDLERS
"""Hash: a handler's name -> its HandlerRecord as JSON; kept until an operator removes it."""
WORKERS = "workers"
"""Sorted set: a worker's id by the end of its lease, in ms."""
SEEN = "handlers:seen"
"""Sorted set: a handler's name by when one of its workers last announced it, in ms."""
LOG = "jobs:log"
"""Stream: each change of any job's state, one entry for each batch; capped."""


def worker(worker_id: str) -> str:
    """String: a worker's WorkerRecord as JSON, gone with its lease."""
    return f"worker:{worker_id}"


def job(handler: str, event_id: str) -> str:
    """Hash: one job."""
    return queue_keys.job_of(handler, event_id)


def running(handler: str) -> str:
    """Sorted set: event ids of running jobs by the end of their lease, in ms."""
    return f"running:{{{handler}}}"


def waiting(handler: str) -> str:
    """Sorted set: event ids of jobs that wait for a retry or a later delivery, by its instant in ms."""
    return f"waiting:{{{handler}}}"


def cancelling(handler: str) -> str:
    """Set: event ids of running jobs that are to be cancelled."""
    return f"cancelling:{{{handler}}}"


def suspects(handler: str) -> str:
    """Hash: a worker's id -> the job that it runs and that would be poison if it died once more."""
    return f"suspects:{{{handler}}}"


def dead(handler: str) -> str:
    """Sorted set: event ids of dead jobs by the instant of their death, in ms."""
    return f"dead:{{{handler}}}"


def queue(handler: str) -> str:
    """Stream: what is for this handler alone: due retries, replays, delayed and direct jobs."""
    return queue_keys.queue_of(handler)


def control(handler: str) -> str:
    """Hash: what an operator says of the handler's limits; kept until it is taken back."""
    return f"control:{{{handler}}}"


def rate(handler: str) -> str:
    """String: when the handler's next start is due at its rate, in µs; gone when that is past."""
    return f"rate:{{{handler}}}"


def minute(handler: str, number: int | str = "") -> str:
    """Hash: how many jobs started and ended in that minute since the epoch; gone ten minutes later."""
    return f"minute:{{{handler}}}:{number}"


def job_id(handler: str, event_id: str) -> str:
    """The id of the job: `email.send_welcome:0192...`."""
    return f"{handler}:{event_id}"


def split_job_id(job_id: str) -> tuple[str, str]:
    """Handler and event id of a job id; ValueError when it is none."""
    handler, _, event_id = job_id.rpartition(":")
    if not handler or not event_id:
        raise ValueError(f"{job_id!r} is no job id; it reads <service>.<function>:<event id>")
    return handler, event_id
