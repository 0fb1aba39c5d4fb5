"""WHAT BECOMES OF IT: handlers turn events into jobs, with attempts, results, retries and dead letters."""

from shared.jobs.control import CANCELLING, GONE, JobControl
from shared.jobs.handler_control import HandlerControl
from shared.jobs.handlers import Handler, Handlers
from shared.jobs.job import Job
from shared.jobs.limits import Limits
from shared.jobs.log import Change, Entry, JobLog
from shared.jobs.outcomes import Reject, RetryAfter, Snooze, TimeLimitExceeded
from shared.jobs.reader import JobReader, JobRecord
from shared.jobs.registry import HandlerRecord, Registry, WorkerRecord
from shared.jobs.retry import Retry
from shared.jobs.states import FINAL, Death, State

__all__ = [
    "CANCELLING",
    "FINAL",
    "GONE",
    "Change",
    "Death",
    "Entry",
    "Handler",
    "HandlerControl",
    "HandlerRecord",
    "Handlers",
    "Job",
    "JobControl",
    "JobLog",
    "JobReader",
    "JobRecord",
    "Limits",
    "Registry",
    "Reject",
    "Retry",
    "RetryAfter",
    "Snooze",
    "State",
    "TimeLimitExceeded",
    "WorkerRecord",
]
