"""Whether this process lives and is ready, and its numbers: open to everybody, neither traced nor logged."""

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Request
from sqlalchemy.exc import DBAPIError
from starlette.responses import PlainTextResponse, Response

from gateway.door.accepted import json_response
from gateway.ledger.away import is_not_migrated
from gateway.operations.handler_gauges import show_handlers
from gateway.parts import Parts, parts_of
from shared.errors import BusUnavailable
from shared.health import NotReady, readiness

router = APIRouter(tags=["health"])


@router.head("/livez", include_in_schema=False)
@router.get("/livez", summary="Does it run?", response_class=PlainTextResponse)
async def livez() -> Response:
    """200 as long as the process answers; asks nobody else."""
    return PlainTextResponse("ok\n", headers=_NO_STORE)


@router.head("/readyz", include_in_schema=False)
@router.get(
    "/readyz",
    summary="May it be given work?",
    response_model=None,
    responses={200: {"description": "Yes"}, 503: {"description": "No; `checks` says why"}},
)
async def readyz(request: Request) -> Response:
    """200 when Postgres and the buses answer and the process is not about to stop."""
    answer = await readiness(_checks(parts_of(request)))
    return json_response(answer.body, answer.status, _NO_STORE)


@router.get("/metrics", summary="Numbers for Prometheus", response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """The numbers of this process, and how each handler stands, in Prometheus' text format."""
    parts = parts_of(request)
    await show_handlers(parts.metrics, parts.scale)
    page = parts.metrics
    return Response(page.render(), headers=_NO_STORE, media_type=page.content_type)


_NO_STORE = {"Cache-Control": "no-store"}


def _checks(parts: Parts) -> dict[str, Callable[[], Awaitable[None]]]:
    async def draining() -> None:
        if parts.drain.has_begun:
            raise NotReady("draining")

    async def ledger() -> None:
        try:
            await parts.ledger.check()
        except DBAPIError as error:
            if is_not_migrated(error):
                raise NotReady("not migrated") from error
            raise

    async def bus() -> None:
        try:
            await parts.bus.check()
        except BusUnavailable as error:
            # The rest of the message may name hosts.
            raise NotReady(str(error).partition(":")[0]) from error

    return {"accepting": draining, "postgres": ledger, "bus": bus}
