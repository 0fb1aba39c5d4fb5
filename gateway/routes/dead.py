"""Dead letters over HTTP: the jobs that failed for good, each with what it was about."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict

from gateway.history import Cursor, Filter
from gateway.keys import Scope, needs
from gateway.pages import Limit, Name, json_answer, page_answer, place
from gateway.parts import JobsDep
from gateway.problem_kinds import INVALID, NOT_FOUND
from gateway.problems import Refused, documented
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
    """Dead letters, newest first; `next` is the cursor of the next page, null on the last."""

    items: list[DeadLetter]
    next: str | None


@router.get("", response_model=DeadPage, responses=documented(INVALID))
async def list_dead_letters(
    jobs: JobsDep,
    after: Annotated[Cursor | None, Depends(place)],
    handler: Name = None,
    reason: Death | None = None,
    limit: Limit = 50,
) -> Response:
    """Dead letters, newest first."""
    wanted = Filter(handler=handler, reason=reason)
    return page_answer(await jobs.history.dead_letters(wanted, after=after, limit=limit))


@router.get("/{job_id}", response_model=DeadLetter, responses=documented(NOT_FOUND))
async def show_dead_letter(job_id: str, jobs: JobsDep) -> Response:
    """One dead letter."""
    letter = await jobs.history.dead_letter(job_id)
    if letter is None:
        raise Refused(NOT_FOUND, f"no dead job has the id {job_id}")
    return json_answer(letter)
