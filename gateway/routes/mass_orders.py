"""Orders to many jobs over HTTP: cancel, or run again, whatever a filter matches."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Response, Security
from pydantic import BaseModel, ConfigDict, Field

from gateway.door.filter_body import BodyName, FilterBody
from gateway.door.json_body import documented_body, json_body
from gateway.door.keys import Key, Needs, Scope
from gateway.door.pages import json_answer
from gateway.door.problem_kinds import BODY_TOO_LARGE, INVALID, MALFORMED_JSON, UNSUPPORTED_MEDIA_TYPE
from gateway.door.problems import documented
from gateway.operations.mass_orders import MassOrders, Order
from gateway.parts import MassOrdersDep
from shared.jobs import State
from shared.telemetry import get_logger

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
log = get_logger()


class OrderFilter(FilterBody):
    """Which jobs; all of what is given must hold. `{"all": true}` alone stands for every one."""

    state: State | None = None
    worker: BodyName | None = Field(None, description="The worker that has the job, or had it last.")
    event_id: UUID | None = None


class OrderRequest(BaseModel):
    """Which jobs the order is for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    filter: OrderFilter
    dry_run: Annotated[bool, Field(strict=True)] = Field(
        default=False, description="Say what the order would be for, and do nothing."
    )


class OrderPreview(BaseModel):
    """What an order would be for. No more than `cap` jobs are counted."""

    matched: int = Field(examples=[1204])
    cap: int = Field(examples=[10_000])
    by_handler: dict[str, int] = Field(examples=[{"email.send": 1204}])
    by_state: dict[str, int] = Field(examples=[{"queued": 1200, "running": 4}])
    sample: list[str] = Field(description="The ids of the newest.")


class OrderDone(BaseModel):
    """What became of an order to at most 1,000 jobs; the same again goes on with the others."""

    done: int = Field(examples=[1000])
    skipped: dict[str, int] = Field(
        description="Why jobs were not ordered. `ended`: one that was to be cancelled ended before. "
        "`not_ended`: one that was to run again does so already. `event_gone`: what came was no event, or "
        "nobody has it any more. `failed`: a defect of ours, which is in the log.",
        examples=[{"event_gone": 2}],
    )
    remaining: bool = Field(description="Whether the same order again would do more.")


_Operator = Annotated[Key, Security(Needs(Scope.OPERATE), scopes=[Scope.OPERATE])]
_Body = Annotated[OrderRequest, json_body(OrderRequest)]
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"model": OrderDone | OrderPreview},
    **documented(MALFORMED_JSON, BODY_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE, INVALID),
}


@router.post(
    "/cancel",
    summary="Cancel many jobs",
    response_model=None,
    responses=_RESPONSES,
    openapi_extra=documented_body(
        OrderRequest,
        look={"filter": {"handler": "email.send", "state": "queued"}, "dry_run": True},
        narrow={"filter": {"handler": "email.send", "until": "2026-11-22T06:00:00Z"}},
        everything={"filter": {"all": True}},
    ),
)
async def cancel_jobs(request: _Body, key: _Operator, orders: MassOrdersDep) -> Response:
    """Cancel what is queued, waits or runs and matches the filter: at most 1,000 jobs, the newest first.

    A running handler is told to stop, and its job counts as done. Repeat it while `remaining` is true.
    """
    return await _ordered("cancel", request, key, orders)


@router.post(
    "/retry",
    summary="Run many jobs again",
    response_model=None,
    responses=_RESPONSES,
    openapi_extra=documented_body(
        OrderRequest,
        look={"filter": {"handler": "email.send", "state": "cancelled"}, "dry_run": True},
        some={"filter": {"ids": ["email.send:0192f0c1-7a3b-7cde-8f01-23456789abcd"]}},
        until_now={"filter": {"error": "RelayBusy", "until": "2026-11-22T06:00:00Z"}},
    ),
)
async def retry_jobs(request: _Body, key: _Operator, orders: MassOrdersDep) -> Response:
    """Run what is dead, cancelled or expired and matches the filter again: at most 1,000 jobs, newest first.

    Repeat it while `remaining` is true, with `until` set to when you began: what fails again meanwhile was
    queued after that. A replay of dead letters (POST /v1/dead/replay) keeps a rate and goes on by itself.
    """
    return await _ordered("retry", request, key, orders)


async def _ordered(order: Order, request: OrderRequest, key: Key, orders: MassOrders) -> Response:
    wanted = request.filter.to_filter()
    if request.dry_run:
        return json_answer((await orders.preview(order, wanted))._asdict())
    ordered = await orders.give(order, wanted)
    log.info(
        "jobs.ordered",
        order=order,
        done=ordered.done,
        skipped=ordered.skipped,
        key=key.digest.hex()[:12],
    )
    return json_answer(ordered._asdict())
