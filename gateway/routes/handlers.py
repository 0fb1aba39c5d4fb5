"""Handlers and workers over HTTP: who handles which events, and who is alive."""

from collections import Counter

from fastapi import APIRouter, Response
from pydantic import BaseModel

from gateway.keys import Scope, needs
from gateway.pages import json_answer
from gateway.parts import RegistryDep
from gateway.problems import documented

router = APIRouter(prefix="/v1", tags=["handlers"], dependencies=[needs(Scope.READ)])


class HandlerBody(BaseModel):
    """A handler, and how many workers that run it are alive."""

    name: str
    service: str
    event_type: str
    max_attempts: int
    concurrency: int
    time_limit_s: float
    version: str
    description: str
    registered_at: str
    workers: int


class WorkerBody(BaseModel):
    """A process that works on jobs and is alive."""

    id: str
    service: str
    version: str
    handlers: list[str]
    host: str
    pid: int
    started_at: str


class HandlerPage(BaseModel):
    """All handlers, by name."""

    items: list[HandlerBody]
    next: None


class WorkerPage(BaseModel):
    """All workers that are alive."""

    items: list[WorkerBody]
    next: None


@router.get("/handlers", response_model=HandlerPage, responses=documented())
async def list_handlers(registry: RegistryDep) -> Response:
    """Every handler that is registered; one without workers keeps its jobs until a worker comes."""
    handlers = await registry.handlers()
    alive = Counter(name for worker in await registry.workers() for name in worker.handlers)
    items = [
        HandlerBody(
            name=handler.name,
            service=handler.service,
            event_type=handler.event_type,
            max_attempts=handler.max_attempts,
            concurrency=handler.concurrency,
            time_limit_s=handler.time_limit_s,
            version=handler.version,
            description=handler.description,
            registered_at=handler.registered_at,
            workers=alive[handler.name],
        ).model_dump()
        for handler in handlers.values()
    ]
    return json_answer({"items": items, "next": None})


@router.get("/workers", response_model=WorkerPage, responses=documented())
async def list_workers(registry: RegistryDep) -> Response:
    """The workers that are alive."""
    return json_answer({"items": await registry.workers(), "next": None})
