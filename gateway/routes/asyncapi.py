"""GET /asyncapi.json: the events of the whole system, as open as /openapi.json."""

from fastapi import APIRouter, Request, Response

from gateway.door.asyncapi import describe
from gateway.door.pages import json_answer
from gateway.parts import parts_of
from shared.bus import Routes
from shared.contracts import CATALOGUE

router = APIRouter()


@router.get("/asyncapi.json", include_in_schema=False)
async def show_asyncapi(request: Request) -> Response:
    """The document; while Redis is away, with the handlers as they were seen last."""
    parts = parts_of(request)
    settings = parts.settings
    document = describe(
        CATALOGUE,
        await parts.jobs.handlers.all(),
        Routes.parse(settings.bus_routes, settings.buses),
        urls={"redis": settings.redis_url.get_secret_value(), "nats": settings.nats_url.get_secret_value()},
        version=request.app.version,
    )
    return json_answer(document)
