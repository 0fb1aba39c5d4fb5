"""A checked body and one XADD with redis-py: the least that a door before a queue can do."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from redis.asyncio import Redis

from bench.doors.parcel import Accepted, Parcel

redis = Redis.from_url(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379"))


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Close what was opened."""
    del app
    yield
    await redis.aclose()


app = FastAPI(openapi_url=None, lifespan=lifespan)


@app.post("/v1/events", status_code=202)
async def take(parcel: Parcel) -> Accepted:
    """One entry of a stream."""
    entry = await redis.xadd("bench.noop", parcel.model_dump())
    return Accepted(id=entry.decode())
