"""Orders to whole handlers over HTTP: pause one, resume it, change its limits while it runs."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from gateway.door.json_body import documented_body, json_body
from gateway.door.keys import Scope, needs, principal_of
from gateway.door.pages import json_answer
from gateway.door.problem_kinds import INVALID, MALFORMED_JSON, NOT_FOUND, UNSUPPORTED_MEDIA_TYPE
from gateway.door.problems import documented
from gateway.parts import HandlerControlDep, HandlerViewDep
from gateway.routes.handlers import HandlerBody, known
from shared.jobs.limits import LEAST_RATE, MOST_CONCURRENCY, MOST_RATE
from shared.telemetry import get_logger

router = APIRouter(prefix="/v1/handlers", tags=["handlers"], dependencies=[needs(Scope.OPERATE)])
log = get_logger()

_LONGEST_NOTE: Final = 500

Concurrency = Annotated[int | None, Field(ge=1, le=MOST_CONCURRENCY)]
Rate = Annotated[float | None, Field(ge=LEAST_RATE, le=MOST_RATE, allow_inf_nan=False)]


class HandlerChange(BaseModel):
    """What is to change; members that are left out stay. `null` gives a limit back to the code."""

    model_config = ConfigDict(extra="forbid", strict=True)

    paused: bool = Field(default=False, description="True: no job starts until it is false again.")
    note: str | None = Field(default=None, max_length=_LONGEST_NOTE, description="Why it is paused.")
    concurrency: Concurrency = Field(default=None, description="Jobs at a time, all workers together.")
    worker_concurrency: Concurrency = Field(default=None, description="Jobs at a time in one worker.")
    rate: Rate = Field(default=None, description="Starts in a second, all workers together.")

    @field_validator("note")
    @classmethod
    def _belongs_to_a_pause(cls, note: str | None, given: ValidationInfo) -> str | None:
        if note is not None and not given.data.get("paused"):
            raise ValueError("goes with paused: true")
        return note


ChangeBody = Annotated[HandlerChange, json_body(HandlerChange)]


@router.patch(
    "/{name}",
    response_model=HandlerBody,
    responses=documented(MALFORMED_JSON, UNSUPPORTED_MEDIA_TYPE, NOT_FOUND, INVALID),
    openapi_extra=documented_body(
        HandlerChange,
        pause={"paused": True, "note": "the relay is being moved"},
        resume={"paused": False},
        limit={"concurrency": 20, "rate": 5.5},
        unlimit={"concurrency": None, "rate": None},
    ),
)
async def change_handler(
    request: Request, name: str, change: ChangeBody, view: HandlerViewDep, control: HandlerControlDep
) -> Response:
    """Pause or resume a handler, change its limits; all workers heed it within a second."""
    await known(view, name)
    changes: dict[str, Any] = change.model_dump(include=change.model_fields_set)
    if changes:
        await control.change(name, changes)
        told = {field: value for field, value in changes.items() if field != "note"}
        log.info("handler.changed", handler=name, key=principal_of(request.scope).hex()[:12], **told)
    return json_answer(await known(view, name))
