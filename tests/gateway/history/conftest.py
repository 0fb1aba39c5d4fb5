"""The parts that look back, on real servers, with a stand-in for the workers."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from httpx import ASGITransport, AsyncClient
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from gateway.door.keys import ApiKeys, KeyCheck
from gateway.door.problems import Problems, answer_refusal
from gateway.door.streams import StreamSlots
from gateway.history.jobs import Jobs
from gateway.history.live import LiveJobs
from gateway.ledger.recorder import Recorder
from gateway.operations.handler_view import HandlerView
from gateway.routes import asyncapi, dead, event_lists, figures, handler_control, handlers, jobs
from shared.bus.redis_streams import connect as connect_redis
from shared.db import connect
from shared.jobs import HandlerControl, HandlerReader, JobLog, JobReader, Registry, WorkerReader
from shared.settings import Secret, Settings
from tests.gateway.history.stand_in import Workers
from tests.until import until

KEYS = "reader=read,other=read,publisher=publish,operator=operate"
READER = {"Authorization": "Bearer reader"}


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Any]:
    client = connect_redis(Secret(redis_url))
    yield client
    await client.aclose()


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = connect(Secret(database_url), service="gateway")
    yield engine
    await engine.dispose()


@pytest.fixture
def workers(redis: Any) -> Workers:
    return Workers(redis)


@pytest.fixture
def registry(redis: Any) -> Registry:
    return Registry(redis)


@pytest.fixture
def job_log(redis: Any) -> JobLog:
    return JobLog(redis)


@pytest.fixture
def reader(redis: Any) -> JobReader:
    return JobReader(redis)


@pytest.fixture
def lookup(registry: Registry, reader: JobReader, engine: AsyncEngine) -> Jobs:
    return Jobs(registry, reader, engine)


@pytest.fixture
async def live(job_log: JobLog) -> AsyncIterator[LiveJobs]:
    async with LiveJobs(job_log) as live:

        async def following() -> bool:
            return live.is_following

        await until(following)
        yield live


@pytest.fixture
async def recorder(
    job_log: JobLog, reader: JobReader, registry: Registry, engine: AsyncEngine
) -> AsyncIterator[Recorder]:
    async with Recorder(job_log, reader, registry, engine) as recorder:
        yield recorder


@pytest.fixture
def app(redis: Any, registry: Registry, lookup: Jobs, live: LiveJobs, engine: AsyncEngine) -> FastAPI:
    """The routes alone, behind the door's keys and problems."""
    app = FastAPI(
        version="1",
        exception_handlers={HTTPException: answer_refusal, RequestValidationError: answer_refusal},
        middleware=[Middleware(Problems), Middleware(KeyCheck, keys=ApiKeys.parse(KEYS))],
    )
    for resource in (jobs, event_lists, dead, figures, handlers, handler_control, asyncapi):
        app.include_router(resource.router)
    app.state.parts = SimpleNamespace(
        engine=engine,
        jobs=lookup,
        live=live,
        registry=registry,
        workers=WorkerReader(redis),
        handlers=HandlerView(registry, HandlerReader(redis)),
        handler_control=HandlerControl(redis),
        stream_slots=StreamSlots(2),
        settings=Settings(),
    )
    return app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(transport=ASGITransport(app), base_url="http://gateway", headers=READER) as client:
        yield client


@pytest.fixture
async def served(app: FastAPI) -> AsyncIterator[AsyncClient]:
    """The same over a socket: httpx collects what an app in the same process streams."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", lifespan="off"))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.serve())

        async def started() -> bool:
            return server.started

        await until(started)
        port = server.servers[0].sockets[0].getsockname()[1]
        async with AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=READER, timeout=10) as client:
            yield client
        server.should_exit = True
