"""BackgroundTasks made durable: `add_task` in a FastAPI endpoint in, jobs on their queues before the answer.

    app = FastAPI(lifespan=durable_tasks())

    @app.post("/signup")
    async def signup(tasks: DurableTasks) -> None:
        tasks.add_task("email.send", email_id="1", to="ada@example.com", subject="Hello", text="Welcome.")

It needs REDIS_URL and nothing else. *Durable* means here: whoever has the answer has the jobs in Redis, on
its disk where it runs as docs/operations.md says; no death of this app or of a worker loses one. What shall
survive the loss of that Redis goes through the gateway's ledger: POST /v1/jobs.
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, Any, Final, cast

from fastapi import Depends, FastAPI, HTTPException
from fastapi.requests import HTTPConnection

from shared.bus import Order, Queues
from shared.contracts import Event, new_id
from shared.errors import BusUnavailable
from shared.jobs import handler_of
from shared.settings import Settings

_STATE: Final = "trunkline_queues"
_RETRY_AFTER_S: Final = 2

Function = Callable[..., Any]


class Tasks:
    """The jobs of one request; ask for them as `tasks: DurableTasks`."""

    def __init__(self, queues: Queues) -> None:
        self._queues = queues
        self._wanted: list[tuple[str, Event | Mapping[str, Any], Order]] = []
        self._is_over = False

    def add_task(
        self, handler: str | Function, event: Event | Mapping[str, Any] | None = None, /, **data: Any
    ) -> str:
        """Have the job enqueued after the endpoint's return and before its answer is sent; returns its id.

        `handler` is the name of a handler (`email.send`), or the function itself where it is at hand; its
        event is given as one, or by its fields. Of several jobs none is enqueued unless each is valid, and
        none at all when the endpoint raises. TypeError for what can be no job.
        """
        if self._is_over:
            raise RuntimeError(
                "the endpoint has returned; add tasks before that, not while the answer is sent"
            )
        if event is not None and data:
            raise TypeError("give the event, or its fields by name, not both")
        name, given = _named(handler, data if event is None else event)
        event_id = new_id()
        self._wanted.append((name, given, Order(id=event_id)))
        return f"{name}:{event_id}"

    async def enqueue(self) -> None:
        """Enqueue what was added; BusUnavailable when Redis does not answer, some may be enqueued then."""
        self._is_over = True
        for event in [await self._queues.prepare(*wanted) for wanted in self._wanted]:
            await self._queues.add(event)


def durable_tasks(
    settings: Settings | None = None,
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """The lifespan of an app that has such tasks; call what it returns within one of your own.

    Without `settings` those of the environment. SettingsError when one is wrong.
    """

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncGenerator[None]:
        async with Queues.open(settings or Settings.load(), name="app") as queues:
            setattr(app.state, _STATE, queues)
            yield

    return running


async def _queues(connection: HTTPConnection) -> Queues:
    queues = getattr(connection.app.state, _STATE, None)
    if not isinstance(queues, Queues):
        raise RuntimeError("this app has no queues; make it with FastAPI(lifespan=durable_tasks())")  # noqa: TRY004 - no caller's type is wrong
    return queues


async def _tasks(queues: Annotated[Queues, Depends(_queues)]) -> AsyncGenerator[Tasks]:
    tasks = Tasks(queues)
    yield tasks
    try:
        await tasks.enqueue()
    except BusUnavailable as error:
        raise HTTPException(
            503, "the job queue does not answer", {"Retry-After": str(_RETRY_AFTER_S)}
        ) from error


# "function": its end comes after the endpoint's, and before the first byte of the answer.
DurableTasks = Annotated[Tasks, Depends(_tasks, scope="function")]
"""In place of `BackgroundTasks`."""
JobQueues = Annotated[Queues, Depends(_queues)]
"""For an endpoint that enqueues by itself: later, unique, or to learn what became of it."""


def _named(handler: str | Function, given: object) -> tuple[str, Event | Mapping[str, Any]]:
    """The handler's name, and the event as far as it can be checked here."""
    if not isinstance(given, Event | Mapping):
        raise TypeError(
            f"a job's data travels as JSON, so that each field needs its name; got {type(given).__name__}: "
            "give add_task(handler, to=..., subject=...) or add_task(handler, event)"
        )
    data = cast("Event | Mapping[str, Any]", given)
    if isinstance(handler, str):
        return handler, data
    registered = handler_of(handler)
    if registered is None:
        what = getattr(handler, "__qualname__", repr(handler))
        raise TypeError(f"{what} is no handler; register it with @handlers.on(...), or give a handler's name")
    if not isinstance(data, Event):
        return registered.name, registered.contract(**data)
    if data.type != registered.event_type:
        raise TypeError(f"{registered.name} works on {registered.event_type}, not on {data.type}")
    return registered.name, data
