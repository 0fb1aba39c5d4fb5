"""Handlers and workers over HTTP: who handles which events, under which limits, and who is alive."""

from typing import Any

from fastapi import APIRouter, Response
from pydantic import AwareDatetime, BaseModel, Field

from gateway.door.keys import Scope, needs
from gateway.door.pages import json_answer
from gateway.door.problem_kinds import NOT_FOUND
from gateway.door.problems import Refused, documented
from gateway.operations.handler_view import HandlerView
from gateway.parts import HandlerViewDep, WorkersDep
from shared.jobs import WorkerStanding

router = APIRouter(prefix="/v1", tags=["handlers"], dependencies=[needs(Scope.READ)])


class LimitsBody(BaseModel):
    """Limits as the code has them; null for none."""

    concurrency: int | None
    worker_concurrency: int
    rate: float | None


class HandlerBody(BaseModel):
    """A handler, the limits in force, and how it stands.

    `concurrency` and `rate` (starts in a second) are for all workers together, `worker_concurrency` for
    each; null is no limit. `running` jobs have a live worker, `waiting` ones wait for a retry or a later
    delivery, `queued` ones are in the handler's own queue.
    """

    name: str
    service: str
    event_type: str
    paused: bool
    note: str | None
    since: AwareDatetime | None
    concurrency: int | None
    worker_concurrency: int
    rate: float | None
    defaults: LimitsBody
    workers: int
    running: int
    waiting: int
    dead: int
    queued: int
    max_attempts: int
    time_limit_s: float
    version: str
    description: str
    registered_at: str
    causes: list[str] = Field(
        description="Types of events that it can return, by its code.",
        examples=[["email.sent", "email.bounced"]],
    )


class WorkerBody(BaseModel):
    """A process that works on jobs and is alive.

    `slots` is the most jobs that it runs at a time, by the limits in force; `running` are those that it holds
    now. Unless it is heard of in `lease_left_s` it counts as dead, and others take its jobs.
    """

    id: str = Field(examples=["email-7d9f-4711"])
    service: str
    version: str
    handlers: list[str]
    host: str
    pid: int
    started_at: AwareDatetime
    slots: int = Field(examples=[128])
    running: int = Field(examples=[3])
    lease_left_s: float = Field(examples=[11.8])


class HandlerPage(BaseModel):
    """All handlers, by name."""

    items: list[HandlerBody]
    next: None


class WorkerPage(BaseModel):
    """All workers that are alive."""

    items: list[WorkerBody]
    next: None


@router.get("/handlers", response_model=HandlerPage, responses=documented())
async def list_handlers(view: HandlerViewDep) -> Response:
    """Every handler that is registered; one without workers keeps its jobs until a worker comes."""
    return json_answer({"items": await view.all(), "next": None})


@router.get("/handlers/{name}", response_model=HandlerBody, responses=documented(NOT_FOUND))
async def show_handler(name: str, view: HandlerViewDep) -> Response:
    """One handler."""
    return json_answer(await known(view, name))


@router.get("/workers", response_model=WorkerPage, responses=documented())
async def list_workers(workers: WorkersDep) -> Response:
    """The workers that are alive, and how much each has to do."""
    return json_answer({"items": [_shown(worker) for worker in await workers.all()], "next": None})


async def known(view: HandlerView, name: str) -> dict[str, Any]:
    """The handler; Refused with 404 when it never announced itself."""
    handler = await view.get(name)
    if handler is None:
        raise Refused(NOT_FOUND, f"no handler is named {name}")
    return handler


def _shown(standing: WorkerStanding) -> dict[str, Any]:
    worker, left = standing.lease
    return {
        "id": worker.id,
        "service": worker.service,
        "version": worker.version,
        "handlers": worker.handlers,
        "host": worker.host,
        "pid": worker.pid,
        "started_at": worker.started_at,
        "slots": standing.slots,
        "running": standing.running,
        "lease_left_s": round(left.total_seconds(), 1),
    }
