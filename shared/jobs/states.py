"""The states of a job, and why a job is dead."""

from enum import StrEnum


class State(StrEnum):
    """Where a job stands.

    queued -> running -> succeeded | retrying -> running ... | dead | cancelled | expired
    """

    QUEUED = "queued"
    RUNNING = "running"
    RETRYING = "retrying"
    SUCCEEDED = "succeeded"
    DEAD = "dead"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def is_final(self) -> bool:
        """Whether the job will never change again by itself."""
        return self in FINAL


FINAL = frozenset({State.SUCCEEDED, State.DEAD, State.CANCELLED, State.EXPIRED})


class Death(StrEnum):
    """Why a job is dead: the reason code of a dead letter."""

    EXHAUSTED = "exhausted"
    NON_RETRYABLE = "non_retryable"
    INVALID = "invalid"
    EXPIRED = "expired"
    POISON = "poison"
