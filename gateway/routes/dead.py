"""Dead letters over HTTP: the jobs that failed for good, each with what it was about."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict

from gateway.door.keys import Scope, needs
from gateway.door.pages import Fingerprint, Limit, Name, SearchText, json_answer, page_answer, place
from gateway.door.problem_kinds import INVALID, NOT_FOUND
from gateway.door.problems import Refused, documented
from gateway.history.job_filter import Cursor, Filter
from gateway.parts import JobsDep
from gateway.routes.jobs import JobBody
from shared.jobs import Death

router = APIRouter(prefix="/v1/dead", tags=["dead letters"], dependencies=[needs(Scope.READ)])


class DeadLetter(JobBody):
    """A dead job, and its event as CloudEvents JSON; bytes that were no event come as base64."""

    model_config = ConfigDict(title="DeadLetter")

    event: dict[str, Any] | None
    raw: str | None
    channel: str | None


class DeadPage(BaseModel):
    """Dead letters, the last to die first; `next` is the cursor of the next page, null on the last."""

    items: list[DeadLetter]
    next: str | None


@router.get("", response_model=DeadPage, responses=documented(INVALID))
async def list_dead_letters(
    *,
    jobs: JobsDep,
    after: Annotated[Cursor | None, Depends(place)],
    handler: Name = None,
    service: Name = None,
    reason: Death | None = None,
    error: Annotated[Name, Query(description="The type of the last error, as the job shows it.")] = None,
    fingerprint: Fingerprint = None,
    text: Annotated[
        SearchText,
        Query(
            description="The whole id of a job, an event or a trace; or a part of the error, of the "
            "handler's name or of the event type. Taken literally, upper and lower case alike."
        ),
    ] = None,
    since: Annotated[AwareDatetime | None, Query(description="Died at this instant or later.")] = None,
    until: Annotated[AwareDatetime | None, Query(description="Died before this instant.")] = None,
    limit: Limit = 50,
) -> Response:
    """Dead letters, the last to die first; a replay takes the same filter."""
    wanted = Filter(
        handler=handler,
        service=service,
        reason=reason,
        error=error,
        fingerprint=fingerprint,
        text=text,
        since=since,
        until=until,
    )
    return page_answer(await jobs.history.dead_letters(wanted, after=after, limit=limit))


@router.get("/{job_id}", response_model=DeadLetter, responses=documented(NOT_FOUND))
async def show_dead_letter(job_id: str, jobs: JobsDep) -> Response:
    """One dead letter."""
    letter = await jobs.history.dead_letter(job_id)
    if letter is None:
        raise Refused(NOT_FOUND, f"no dead job has the id {job_id}")
    return json_answer(letter)
