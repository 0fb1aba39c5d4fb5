"""What a schedule would do over HTTP: a definition, or changes to one, in; its times to come out."""

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from gateway.door.json_body import documented_body, json_body
from gateway.door.keys import Scope, needs
from gateway.door.pages import json_answer
from gateway.door.problem_kinds import (
    INVALID,
    INVALID_DATA,
    MALFORMED_JSON,
    NOT_FOUND,
    UNKNOWN_TYPE,
    UNSUPPORTED_MEDIA_TYPE,
)
from gateway.door.problems import Refused, documented
from gateway.parts import EngineDep
from gateway.routes.schedules import is_name
from gateway.schedules.checking import checked
from gateway.schedules.views import MOST_FIRES, PREVIEWED, Preview, preview_of
from shared.schedules import Instant, book

router = APIRouter(prefix="/v1/schedules", tags=["schedules"])


class Draft(BaseModel):
    """A schedule that nobody has entered; or the name of one, and what would be changed of it."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str
    count: Annotated[int, Field(strict=True, ge=1, le=MOST_FIRES)] = PREVIEWED
    from_: Instant | None = Field(
        None, alias="from", description="Ticks after this instant; without: after now."
    )


@router.post(
    "/preview",
    dependencies=[needs(Scope.READ)],
    summary="The ticks of a schedule to be",
    response_model=Preview,
    responses=documented(
        NOT_FOUND, MALFORMED_JSON, UNSUPPORTED_MEDIA_TYPE, INVALID, UNKNOWN_TYPE, INVALID_DATA
    ),
    openapi_extra=documented_body(
        Draft,
        whole={
            "name": "weekly",
            "cron": "0 9 * * MON",
            "timezone": "Europe/Warsaw",
            "type": "cron.cleanup",
            "count": 3,
        },
        changes={"name": "cleanup", "cron": "30 2 * * *", "timezone": "Europe/Warsaw"},
    ),
)
async def preview_draft(draft: Annotated[Draft, json_body(Draft)], engine: EngineDep) -> Response:
    """The ticks that it would have; what is wrong with it, as when it is entered. Nothing is changed."""
    changes = dict(draft.model_extra or {})
    async with engine.connect() as connection:
        entry = await book.find(connection, draft.name) if is_name(draft.name) else None
        begin = draft.from_ or await book.database_now(connection)
    if entry is not None:
        definition = checked(entry.definition.changed(changes))
    elif "type" in changes:
        definition = checked({"name": draft.name, **changes})
    else:
        raise Refused(NOT_FOUND, "no schedule has this name; of a new one say `type`, and `cron` or `every`")
    return json_answer(preview_of(definition, begin, draft.count))
