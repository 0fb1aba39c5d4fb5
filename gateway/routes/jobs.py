"""Jobs over HTTP: where one stands, what becomes of it live, and lists of them."""

import math
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from msgspec.structs import replace
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from gateway.door.etags import etag_of, is_known
from gateway.door.keys import Key, Needs, Scope, needs
from gateway.door.pages import Fingerprint, Limit, Name, SearchText, json_answer, page_answer, place
from gateway.door.problem_kinds import INVALID, NOT_FOUND, TOO_MANY_STREAMS
from gateway.door.problems import Refused, documented
from gateway.door.streams import follow
from gateway.door.waiting import LONGEST_WAIT, is_final, preferred_wait, until_final
from gateway.history.counts import CAP
from gateway.history.job_filter import Cursor, Filter
from gateway.parts import JobsDep, LiveDep, parts_of
from shared.clock import from_rfc3339
from shared.jobs import State

_LONGEST_RETRY_AFTER_S: Final = 60
_COUNTS: Final = {
    "counts": {
        "queued": 12,
        "running": 3,
        "retrying": 0,
        "succeeded": CAP,
        "dead": 4,
        "cancelled": 0,
        "expired": 0,
    },
    "cap": CAP,
}

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], dependencies=[needs(Scope.READ)])


class JobProgress(BaseModel):
    """How far a job is."""

    done: float
    total: float
    note: str


class JobError(BaseModel):
    """The last failed attempt's error."""

    type: str
    message: str
    stack: str | None = None


class JobBody(BaseModel):
    """A job. Instants are RFC 3339 in UTC."""

    model_config = ConfigDict(title="Job")

    id: str
    handler: str
    service: str
    state: State
    attempt: int
    max_attempts: int
    progress: JobProgress | None
    result: Any
    error: JobError | None
    reason: str | None
    queued_at: AwareDatetime | None
    started_at: AwareDatetime | None
    finished_at: AwareDatetime | None
    due_at: AwareDatetime | None
    worker: str | None
    trace_id: str | None
    event_id: str
    event_type: str
    attempts: list[dict[str, Any]]
    caused: list[dict[str, str]]
    fingerprint: str | None = Field(description="Of a dead job: the group of GET /v1/dead/groups it is in.")


class JobPage(BaseModel):
    """Jobs, newest first; `next` is the cursor of the next page, null on the last."""

    items: list[JobBody]
    next: str | None


def stream_slot(request: Request, key: Annotated[Key, Depends(Needs(Scope.READ))]) -> Iterator[None]:
    """A slot for a stream, held until its last byte is sent or the client is gone."""
    with parts_of(request).stream_slots.take(key.digest):
        yield


class JobCounts(BaseModel):
    """How many jobs there are in each state; a count of `cap` means that many or more."""

    counts: dict[State, int]
    cap: int


async def sought(
    *,
    handler: Name = None,
    service: Name = None,
    worker: Annotated[
        Name, Query(description="The id of the worker that has the job, or had it last.")
    ] = None,
    event_id: UUID | None = None,
    since: Annotated[AwareDatetime | None, Query(description="Queued at this instant or later.")] = None,
    until: Annotated[AwareDatetime | None, Query(description="Queued before this instant.")] = None,
    error: Annotated[Name, Query(description="The type of the last error, as the job shows it.")] = None,
    fingerprint: Fingerprint = None,
    text: Annotated[
        SearchText,
        Query(
            description="The whole id of a job, an event or a trace; or a part of an error, of a handler's "
            "name or of an event type. Taken literally, upper and lower case alike."
        ),
    ] = None,
) -> Filter:
    """What lists and counts of jobs are filtered by, beside the state."""
    return Filter(
        handler=handler,
        service=service,
        worker=worker,
        event_id=event_id,
        error=error,
        fingerprint=fingerprint,
        text=text,
        since=since,
        until=until,
    )


@router.get("", response_model=JobPage, responses=documented(INVALID))
async def list_jobs(
    *,
    jobs: JobsDep,
    wanted: Annotated[Filter, Depends(sought)],
    after: Annotated[Cursor | None, Depends(place)],
    state: State | None = None,
    limit: Limit = 50,
) -> Response:
    """Jobs, newest first; those that no worker has claimed yet are `queued`."""
    return page_answer(await jobs.page(replace(wanted, state=state), after=after, limit=limit))


@router.get(
    "/counts",
    response_model=JobCounts,
    responses={200: {"content": {"application/json": {"example": _COUNTS}}}} | documented(INVALID),
)
async def count_jobs(jobs: JobsDep, wanted: Annotated[Filter, Depends(sought)]) -> Response:
    """How many jobs there are in each state, by the filters of the list; fast however many there are."""
    return json_answer({"counts": await jobs.counts(wanted), "cap": CAP})


@router.get("/{job_id}", response_model=JobBody, responses={304: {}} | documented(NOT_FOUND, INVALID))
async def show_job(
    *,
    job_id: str,
    jobs: JobsDep,
    live: LiveDep,
    wait: Annotated[
        float | None,
        Query(ge=0, le=LONGEST_WAIT.total_seconds(), description="Seconds to wait for the job's end."),
    ] = None,
    prefer: Annotated[list[str] | None, Header(description="`wait=N` as the parameter (RFC 7240).")] = None,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Where the job stands; one that is not final comes with Retry-After."""
    preferred = preferred_wait(prefer or [])
    limit = timedelta(seconds=wait) if wait is not None else preferred or timedelta(0)
    job = await until_final(jobs, live, job_id, limit)
    if job is None:
        raise _unknown(job_id)
    body = msgspec.json.encode(job)
    headers = {"ETag": etag_of(body), "Cache-Control": "no-cache", "Vary": "Prefer"}
    if preferred is not None and wait is None:
        headers["Preference-Applied"] = f"wait={preferred.total_seconds():.0f}"
    if not is_final(job):
        headers["Retry-After"] = str(_retry_after_s(job))
    if is_known(headers["ETag"], if_none_match):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


@router.get(
    "/{job_id}/stream",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}} | documented(NOT_FOUND, TOO_MANY_STREAMS),
    dependencies=[Depends(stream_slot)],
)
async def stream_job(
    job_id: str, jobs: JobsDep, live: LiveDep, last_event_id: Annotated[str | None, Header()] = None
) -> StreamingResponse:
    """The job's changes as server-sent events: `state`, `progress`, and `end` after the final state."""
    if await jobs.get(job_id) is None:
        raise _unknown(job_id)
    changes: AsyncIterator[bytes] = follow(jobs, live, job_id, seen=last_event_id)
    # Without the last header a proxy such as nginx would collect the events before it passes them on.
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(changes, media_type="text/event-stream", headers=headers)


def _unknown(job_id: str) -> Refused:
    return Refused(NOT_FOUND, f"no job has the id {job_id}")


def _retry_after_s(job: dict[str, Any]) -> int:
    """When asking again makes sense: a job that waits for its next attempt does nothing before."""
    if job["due_at"] is None or job["state"] != State.RETRYING:
        return 1
    left_s = (from_rfc3339(job["due_at"]) - datetime.now(UTC)).total_seconds()
    return max(1, min(math.ceil(left_s), _LONGEST_RETRY_AFTER_S))
