"""Taskiq behind FastAPI: a checked body in, one job enqueued."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from bench.contenders import taskiq as contender
from bench.doors.parcel import Accepted, Parcel


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Its connections, as long as the application lives."""
    del app
    async with contender.opened():
        yield


app = FastAPI(openapi_url=None, lifespan=lifespan)


@app.post("/v1/events", status_code=202)
async def take(parcel: Parcel) -> Accepted:
    """One job."""
    job = await contender.noop.kiq(**parcel.model_dump())
    return Accepted(id=job.task_id)
