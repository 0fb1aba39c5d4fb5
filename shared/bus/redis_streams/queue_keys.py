"""The names of a handler's queue and what belongs to it in Redis; they share its hash tag."""

from hashlib import sha256

HANDLERS = "handlers"
"""Hash: a handler's name -> its record as JSON; kept until an operator removes it."""


def queue_of(handler: str) -> str:
    """Stream: what is for this handler alone: due retries, replays, delayed and direct jobs."""
    return f"queue:{{{handler}}}"


def job_of(handler: str, event_id: str) -> str:
    """Hash: one job."""
    return f"job:{{{handler}}}:{event_id}"


def mark_of(handler: str, event_id: str) -> str:
    """String: that the event was put into the queue; there for the window in which a copy is dropped."""
    return f"dd:{{{handler}}}:{event_id}"


def unique_of(handler: str, unique_key: str) -> str:
    """String: the id of the event that has the key, for its window; `?<id>` while it may come to nothing.

    Of the key only a digest: it may be long, or tell of a person.
    """
    return f"unique:{{{handler}}}:{sha256(unique_key.encode()).hexdigest()[:32]}"
