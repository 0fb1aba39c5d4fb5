"""How much work there is for a service over HTTP: for autoscalers, and for who asks how far behind it is."""

from fastapi import APIRouter, Response
from pydantic import BaseModel

from gateway.door.keys import Scope, needs
from gateway.door.pages import json_answer
from gateway.door.problem_kinds import NOT_FOUND
from gateway.door.problems import Refused, documented
from gateway.parts import ScaleDep

router = APIRouter(prefix="/v1/scale", tags=["handlers"], dependencies=[needs(Scope.READ)])


class Measured(BaseModel):
    """What there is to do; null where a bus does not answer.

    `lag` counts messages that no worker has, `pending` those that one has and did not acknowledge, `due` the
    waiting jobs whose wait is over within a minute. `backlog` is lag + pending + due; of a paused handler it
    is what still runs. `oldest_age_s` is the age of the oldest message, `unread_age_s` of the oldest
    that no worker has, null when there is none.
    """

    workers: int
    backlog: int | None
    lag: int | None
    pending: int | None
    oldest_age_s: float | None
    unread_age_s: float | None
    running: int
    waiting: int
    due: int
    dead: int
    started_per_s: float
    ended_per_s: float


class MeasuredHandler(Measured):
    """One handler of the service."""

    name: str
    paused: bool


class MeasuredService(Measured):
    """The service: the sums over its handlers. `reason` says why a number is null."""

    service: str
    reason: str | None
    handlers: list[MeasuredHandler]


class MeasuredServices(BaseModel):
    """All services, by name."""

    items: list[MeasuredService]
    next: None


@router.get("", response_model=MeasuredServices, responses=documented())
async def measure_services(scale: ScaleDep) -> Response:
    """How far behind each service is whose handlers ever announced themselves."""
    return json_answer({"items": await scale.every_service(), "next": None})


@router.get("/{service}", response_model=MeasuredService, responses=documented(NOT_FOUND))
async def measure_service(service: str, scale: ScaleDep) -> Response:
    """How far behind the service is; `backlog` is the one number for a scaler."""
    measured = await scale.of(service)
    if measured is None:
        raise Refused(NOT_FOUND, f"no handler of a service {service} ever announced itself")
    return json_answer(measured)
