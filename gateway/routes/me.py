"""Who am I? A key in; its name, its scopes and where it comes from out."""

from typing import Annotated

from fastapi import APIRouter, Response, Security
from pydantic import BaseModel, Field

from gateway.door.keys import Key, Needs, Scope, Source
from gateway.door.pages import json_answer
from gateway.door.problems import documented

router = APIRouter(prefix="/v1/me", tags=["keys"])


class Me(BaseModel):
    """The key that asks."""

    id: str
    name: str
    scopes: list[Scope] = Field(description="`admin` stands for all of them.")
    source: Source = Field(description="The setting API_KEYS, stored, or off: everybody is let in.")


@router.get("", summary="Who asks", response_model=Me, responses=documented())
async def show_me(key: Annotated[Key, Security(Needs(None))]) -> Response:
    """The key that the request came with; any key that is known may ask."""
    return json_answer(
        {"id": key.id, "name": key.name, "scopes": sorted(key.scopes), "source": str(key.source)}
    )
