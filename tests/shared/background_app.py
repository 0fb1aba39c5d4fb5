"""A user's own FastAPI app, as a process that dies in the moment in which it would answer."""

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import uvicorn
from fastapi import BackgroundTasks, FastAPI
from redis.asyncio import Redis

from shared.background import DurableTasks, durable_tasks

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.types import ASGIApp, Message, Receive, Scope, Send


@asynccontextmanager
async def lifespan(app: FastAPI) -> "AsyncGenerator[None]":
    async with durable_tasks()(app):
        yield


app = FastAPI(lifespan=lifespan)


async def write_down(what: str) -> None:
    async with Redis.from_url(os.environ["REDIS_URL"]) as redis:
        await redis.set("written", what)


@app.post("/signup")
async def signup(tasks: DurableTasks, background: BackgroundTasks) -> dict[str, str]:
    background.add_task(write_down, "Ada")
    return {"job": tasks.add_task("lab.greet", name="Ada")}


class DiesAfterAnswering:
    """Kills the process when the answer has been handed to the server, before anything else can run."""

    def __init__(self, inner: "ASGIApp") -> None:
        self._inner = inner

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        async def send_and_die(message: "Message") -> None:
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                os._exit(137)

        is_signup = scope["type"] == "http" and scope["path"] == "/signup"
        await self._inner(scope, receive, send_and_die if is_signup else send)


if __name__ == "__main__":
    serve: Any = DiesAfterAnswering(app)
    uvicorn.run(serve, port=int(os.environ["PORT"]), log_level="warning", lifespan="on")
