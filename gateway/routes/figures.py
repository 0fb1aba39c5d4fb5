"""Figures over HTTP: what became of jobs in the last minutes, and how long they waited and ran."""

from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime, BaseModel, Field

from gateway.door.keys import Scope, needs
from gateway.door.pages import Name, json_answer
from gateway.door.problem_kinds import INVALID
from gateway.door.problems import documented
from gateway.operations.figures import figures
from gateway.parts import EngineDep

router = APIRouter(prefix="/v1/figures", tags=["handlers"], dependencies=[needs(Scope.READ)])

_MOST_MINUTES: Final = 1440


class Total(BaseModel):
    """The figures of all minutes together."""

    succeeded: int
    dead: int
    retried: int
    wait_p50_ms: int | None
    wait_p95_ms: int | None
    run_p50_ms: int | None
    run_p95_ms: int | None


class SeriesView(BaseModel):
    """One number a minute, oldest first. Percentiles are within 10 %; null in a minute without a job."""

    succeeded: list[int]
    dead: list[int]
    retried: list[int] = Field(description="Attempts that failed and did not end their job.")
    wait_p50_ms: list[int | None] = Field(
        description="From the event, or the instant it was to be delivered at, to the first attempt."
    )
    wait_p95_ms: list[int | None]
    run_p50_ms: list[int | None] = Field(description="The attempt that ended the job.")
    run_p95_ms: list[int | None]
    total: Total


class VersionView(BaseModel):
    """What workers of one version did."""

    version: str = Field(description="`unknown` where nobody knows it any more.")
    ended: int = Field(description="Jobs that succeeded or died.")
    failed: int = Field(description="Attempts that failed.")


class HandlerFigures(SeriesView):
    """The figures of a handler."""

    handler: str
    service: str
    versions: list[VersionView]


class Figures(BaseModel):
    """Figures of jobs by the minute in which they ended; the last minute is still going on."""

    from_: AwareDatetime = Field(alias="from")
    to: AwareDatetime
    step_s: int = Field(examples=[60])
    all: SeriesView
    handlers: list[HandlerFigures] = Field(description="Those that did anything, by name.")


@router.get("", response_model=Figures, responses=documented(INVALID))
async def show_figures(
    engine: EngineDep,
    minutes: Annotated[int, Query(ge=1, le=_MOST_MINUTES, description="How many, up to now.")] = 60,
    handler: Name = None,
) -> Response:
    """How many jobs ended how, and how long they waited and ran, by the minute."""
    found = await figures(engine, last=datetime.now(UTC), minutes=minutes, handler=handler)
    return json_answer(found)
