"""WHAT BECOMES OF IT: handlers turn events into jobs, with attempts, results, retries and dead letters."""

from shared.jobs.control import CANCELLING, GONE, JobControl
from shared.jobs.groups import (
    GROUP_FAILED,
    GROUP_ID,
    GROUP_SIZE,
    MEMBERS_MAX,
    Group,
    GroupEnd,
    OpenedGroup,
    decode_group,
    group_id,
    then_id,
)
from shared.jobs.handler_control import HandlerControl
from shared.jobs.handler_reader import HandlerReader, Standing
from shared.jobs.handlers import Handler, Handlers, handler_of
from shared.jobs.job import Job
from shared.jobs.limits import Limits
from shared.jobs.log import Change, Entry, JobLog
from shared.jobs.lost import JobStanding, LostJobs
from shared.jobs.open_work import OpenWork, open_work
from shared.jobs.outcomes import (
    HardTimeLimitExceeded,
    ProcessDied,
    Reject,
    RetryAfter,
    Snooze,
    TimeLimitExceeded,
)
from shared.jobs.reader import JobReader, JobRecord
from shared.jobs.registry import HandlerRecord, Lease, Registry, WorkerRecord
from shared.jobs.retry import Retry
from shared.jobs.states import FINAL, Death, State
from shared.jobs.worker_reader import WorkerReader, WorkerStanding

__all__ = [
    "CANCELLING",
    "FINAL",
    "GONE",
    "GROUP_FAILED",
    "GROUP_ID",
    "GROUP_SIZE",
    "MEMBERS_MAX",
    "Change",
    "Death",
    "Entry",
    "Group",
    "GroupEnd",
    "Handler",
    "HandlerControl",
    "HandlerReader",
    "HandlerRecord",
    "Handlers",
    "HardTimeLimitExceeded",
    "Job",
    "JobControl",
    "JobLog",
    "JobReader",
    "JobRecord",
    "JobStanding",
    "Lease",
    "Limits",
    "LostJobs",
    "OpenWork",
    "OpenedGroup",
    "ProcessDied",
    "Registry",
    "Reject",
    "Retry",
    "RetryAfter",
    "Snooze",
    "Standing",
    "State",
    "TimeLimitExceeded",
    "WorkerReader",
    "WorkerRecord",
    "WorkerStanding",
    "decode_group",
    "group_id",
    "handler_of",
    "open_work",
    "then_id",
]
