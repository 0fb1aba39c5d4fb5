"""Orders to single jobs over HTTP: cancel one, run one again."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from fastapi import APIRouter, Response, status
from pydantic import BaseModel

from gateway.door.keys import Scope, needs
from gateway.door.problem_kinds import EVENT_GONE, JOB_NOT_ENDED, JOB_NOT_LIVE, NOT_FOUND
from gateway.door.problems import Refused, documented
from gateway.history.jobs import Jobs
from gateway.parts import ControlDep, JobsDep, RunAgainDep
from shared.clock import from_rfc3339
from shared.jobs import CANCELLING, GONE, State

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], dependencies=[needs(Scope.OPERATE)])

_CANCELLED: Final = (CANCELLING, State.CANCELLED)
_MAY_RUN_AGAIN: Final = (State.DEAD, State.CANCELLED, State.EXPIRED)


class Ordered(BaseModel):
    """The job after the order: `cancelling` while a worker still has to end it."""

    id: str
    state: str


@router.post(
    "/{job_id}/cancel",
    status_code=status.HTTP_202_ACCEPTED,
    response_model=Ordered,
    responses=documented(NOT_FOUND, JOB_NOT_LIVE),
)
async def cancel_job(job_id: str, jobs: JobsDep, control: ControlDep) -> Response:
    """Cancel a job that is not final, also while no worker lives; a running handler is told to stop."""
    job = await _known(job_id, jobs)
    if State(job["state"]).is_final:
        raise Refused(JOB_NOT_LIVE, f"the job is {job['state']}")
    state = await control.cancel(
        job["handler"], job["event_id"], event_type=job["event_type"], due_in=_due_in(job)
    )
    if state not in _CANCELLED:
        raise Refused(JOB_NOT_LIVE, f"the job is {state}")
    return _ordered(job_id, state)


@router.post(
    "/{job_id}/retry",
    status_code=status.HTTP_202_ACCEPTED,
    response_model=Ordered,
    responses=documented(NOT_FOUND, JOB_NOT_ENDED, EVENT_GONE),
)
async def retry_job(job_id: str, jobs: JobsDep, again: RunAgainDep) -> Response:
    """Run a dead, cancelled or expired job again: the same event, fresh attempts."""
    job = await _known(job_id, jobs)
    if job["state"] not in _MAY_RUN_AGAIN:
        raise Refused(JOB_NOT_ENDED, f"the job is {job['state']}")
    await again.reopen([job])
    state = await again.queue(job)
    if state == GONE:
        raise Refused(EVENT_GONE, "what came was no event, or nobody has it any more")
    if state != State.QUEUED:
        raise Refused(JOB_NOT_ENDED, f"the job is {state}")
    return _ordered(job_id, state)


async def _known(job_id: str, jobs: Jobs) -> dict[str, Any]:
    job = await jobs.get(job_id)
    if job is None:
        raise Refused(NOT_FOUND, f"no job has the id {job_id}")
    return job


def _due_in(job: dict[str, Any]) -> timedelta:
    due_at = from_rfc3339(job["due_at"]) if job["due_at"] else datetime.now(UTC)
    return max(timedelta(0), due_at - datetime.now(UTC))


def _ordered(job_id: str, state: str) -> Response:
    body = msgspec.json.encode({"id": job_id, "state": state})
    headers = {"Location": f"/v1/jobs/{job_id}", "Retry-After": "1"}
    return Response(body, status.HTTP_202_ACCEPTED, headers, media_type="application/json")
