"""Entering and editing a schedule: a form with a preview of its ticks in, the call of the API out."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.requests import Request

from monitor.door.forms import Fields
from monitor.drawing.ticks import fire_words
from monitor.orders.definition import NEW, definition_of, fields_of
from monitor.orders.faults import of_fields
from monitor.orders.order import Done, Field, Form, WrongField
from monitor.pages.schedules import schedule_url
from shared.api import GatewayApi, Refusal, path_of

_PREVIEW_NAME = "new"


class AddSchedule:
    """Enter a new one."""

    place = "/schedules"
    path = "/schedules/add"

    async def form(self, request: Request, api: GatewayApi) -> Form:
        """What was filled in, and when that would fire."""
        asked = request.query_params
        name = asked.get("name", "").strip()
        definition = dict(NEW) | dict(asked)
        plain, fires = "", []
        if asked.get("type", "").strip():
            wanted = definition_of(lambda field: asked.get(field, ""))
            plain, fires = await _preview(api, {"name": name or _PREVIEW_NAME, **wanted})
        return Form(
            title="Add a schedule",
            verb="Add",
            fields=[
                Field("name", "Name", name, required=True, hint="Lower-case letters, digits, dot, _ and -."),
                *fields_of(definition),
            ],
            facts=[("Fires", plain)] if plain else [],
            sample=fires,
            previews=True,
            back="/schedules",
        )

    async def carry_out(self, request: Request, fields: Fields, api: GatewayApi) -> Done:
        """Its first tick is the first one after this instant."""
        del request
        given = {name: value for name, value in definition_of(fields.one).items() if value is not None}
        name = fields.one("name")
        try:
            await api.post("/v1/schedules", {"name": name, **given})
        except Refusal as refusal:
            raise of_fields(refusal) from refusal
        return Done(f"{name} is entered.", go=schedule_url(name))


class EditSchedule:
    """Change one; what somebody else has changed meanwhile is not written over."""

    place = "/schedules"
    path = "/schedules/{name}/edit"

    async def form(self, request: Request, api: GatewayApi) -> Form:
        """The definition and its ETag; and when what is filled in would fire."""
        name: str = request.path_params["name"]
        asked = request.query_params
        answer = await api.ask("GET", path_of("schedules", name))
        definition: Mapping[str, Any] = answer.body
        if "type" in asked:
            definition = {**definition, "cron": None, "every": None, **dict(asked)}
            wanted = definition_of(lambda field: asked.get(field, ""))
        else:
            wanted = {}
        plain, fires = await _preview(api, {"name": name, **wanted})
        etag = asked.get("etag", answer.headers.get("etag", ""))
        return Form(
            title=f"Edit {name}",
            verb="Save",
            text="New times begin at once.",
            fields=[Field("etag", value=etag, kind="hidden"), *fields_of(definition)],
            facts=[("Fires", plain)],
            sample=fires,
            previews=True,
            back=schedule_url(name),
        )

    async def carry_out(self, request: Request, fields: Fields, api: GatewayApi) -> Done:
        """Saved if it is still what the form showed."""
        name: str = request.path_params["name"]
        change = definition_of(fields.one)
        try:
            await api.patch(path_of("schedules", name), change, {"if-match": fields.one("etag")})
        except Refusal as refusal:
            if refusal.status == HTTPStatus.PRECONDITION_FAILED:
                raise WrongField(
                    f"somebody has edited {name} since this form was opened: nothing was saved; "
                    "open it again to see what it is now"
                ) from refusal
            raise of_fields(refusal) from refusal
        return Done(f"{name} is saved.")


async def _preview(api: GatewayApi, draft: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Its times in words, and the next ticks; WrongField for what is wrong with it."""
    try:
        found = (await api.post("/v1/schedules/preview", draft)).body
    except Refusal as refusal:
        if refusal.status == HTTPStatus.UNPROCESSABLE_ENTITY:
            raise of_fields(refusal) from refusal
        raise
    return found["plain"], [fire_words(fire) for fire in found["items"]]
