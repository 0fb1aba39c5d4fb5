"""Dead letters over HTTP, by what they died of: one line for each failure, not one for each job."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime, BaseModel, Field

from gateway.door.keys import Scope, needs
from gateway.door.pages import Limit, Name, SearchText, json_answer
from gateway.door.problem_kinds import INVALID
from gateway.door.problems import documented
from gateway.history.job_filter import Filter
from gateway.operations.dead_groups import dead_groups
from gateway.parts import EngineDep

router = APIRouter(prefix="/v1/dead/groups", tags=["dead letters"], dependencies=[needs(Scope.READ)])


class DeadGroup(BaseModel):
    """Dead jobs of one handler that died of the same error, raised in the same function."""

    fingerprint: str = Field(
        description="Of handler, error type, file and function; a filter of the lists and of a replay.",
        examples=["9f86d081884c7d65"],
    )
    handler: str
    service: str
    error: str | None = Field(description="The type of the last error.", examples=["RelayBusy"])
    message: str | None = Field(description="That of the last job to die.")
    frame: str | None = Field(
        description="Of the last job to die: the innermost frame that is of no library; null where there is "
        "none.",
        examples=["email_service/handlers.py:41 in send"],
    )
    reasons: dict[str, int] = Field(examples=[{"exhausted": 3}])
    count: int
    first_at: AwareDatetime
    last_at: AwareDatetime
    sample_id: str = Field(description="The last job to die.")


class DeadGroupPage(BaseModel):
    """Groups, that of the last job to die first; `limit` of them, and no further page."""

    items: list[DeadGroup]
    next: None


@router.get("", response_model=DeadGroupPage, responses=documented(INVALID))
async def list_dead_groups(
    *,
    engine: EngineDep,
    handler: Name = None,
    service: Name = None,
    text: Annotated[SearchText, Query(description="As in GET /v1/dead.")] = None,
    since: Annotated[AwareDatetime | None, Query(description="Died at this instant or later.")] = None,
    until: Annotated[AwareDatetime | None, Query(description="Died before this instant.")] = None,
    limit: Limit = 50,
) -> Response:
    """What dead jobs died of, most recent first: the jobs that pass the filter, grouped."""
    wanted = Filter(handler=handler, service=service, text=text, since=since, until=until)
    return json_answer({"items": await dead_groups(engine, wanted, limit=limit), "next": None})
