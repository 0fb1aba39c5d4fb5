"""A route's JSON body as its model: `NewUserBody = Annotated[NewUser, json_body(NewUser)]`.

FastAPI's own way reads the body before it looks at the caller's key, and builds Python objects only to check
them again. Here the key comes first, and the bytes are checked as they are.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from fastapi import Depends, Request
from pydantic import BaseModel, ValidationError

from gateway.door.problem_kinds import INVALID, MALFORMED_JSON, UNSUPPORTED_MEDIA_TYPE
from gateway.door.problems import Refused, pointer_of
from shared.errors import Problem

Model = TypeVar("Model", bound=BaseModel)


def json_body(model: type[Model], *, may_be_missing: bool = False) -> Any:
    """The dependency that reads the body; Refused with 400, 415 or 422. A missing one is an empty object."""
    return Depends(_reader(model, may_be_missing=may_be_missing))


def documented_body(model: type[BaseModel], **examples: dict[str, Any]) -> dict[str, Any]:
    """For `openapi_extra=` of the route; gateway.openapi puts the schemas of BODIES into the components."""
    content = {
        "schema": {"$ref": f"#/components/schemas/{model.__name__}"},
        "examples": {name: {"value": example} for name, example in examples.items()},
    }
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


def invalid(error: ValidationError) -> Refused:
    """What pydantic found, as a problem; the values themselves are not repeated."""
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    if faults[0]["type"] == "json_invalid":
        return Refused(MALFORMED_JSON, faults[0]["msg"])
    errors = [
        Problem(pointer_of(fault["loc"]), fault["msg"].removeprefix("Value error, ")) for fault in faults
    ]
    first = errors[0]
    return Refused(INVALID, f"{first.pointer[1:] or 'the body'}: {first.detail}", errors=errors)


def _reader(model: type[Model], *, may_be_missing: bool) -> Callable[[Request], Awaitable[Model]]:
    async def read(request: Request) -> Model:
        if may_be_missing and not await request.body():
            return model()
        content_types = request.headers.getlist("content-type")
        if len(content_types) != 1 or not _is_json(content_types[0]):
            raise Refused(UNSUPPORTED_MEDIA_TYPE, "send Content-Type: application/json")
        try:
            return model.model_validate_json(await request.body())
        except ValidationError as error:
            raise invalid(error) from None

    return read


def _is_json(content_type: str) -> bool:
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type == "application/json" or (
        media_type.startswith("application/") and media_type.endswith("+json")
    )
