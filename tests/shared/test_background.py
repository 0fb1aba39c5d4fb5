"""`tasks.add_task` in a user's own FastAPI app: durable, in time, and refused where it makes no sense."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, ClassVar

import pytest
import uvicorn
from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import PlainTextResponse, StreamingResponse
from httpx import AsyncClient, ConnectError, Response
from redis.asyncio import Redis

from launcher.ports import free_port
from shared.background import DurableTasks, JobQueues, Tasks, durable_tasks
from shared.contracts import Event
from shared.jobs import Handlers, JobReader, Registry, WorkerRecord
from shared.service import Service
from shared.settings import Secret, Settings
from tests.until import until


class Greeting(Event):
    type: ClassVar[str] = "lab.greeting"

    name: str
    loud: bool = False


class Other(Event):
    type: ClassVar[str] = "lab.other"


handlers = Handlers("lab")
greeted: list[str] = []


@handlers.on(Greeting)
async def greet(event: Greeting) -> str:
    greeted.append(event.name)
    return f"Hello {event.name}"


@handlers.on(Greeting)
async def other(event: Greeting) -> str:
    greeted.append(f"other {event.name}")
    return "other"


@pytest.fixture(autouse=True)
def nobody_greeted() -> Iterator[None]:
    greeted.clear()
    yield
    greeted.clear()


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return Settings(redis_url=Secret(redis_url), buses="redis", log_level="error")


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Any]:
    """Where the handlers are known; no worker lives."""
    async with Redis.from_url(redis_url, protocol=2) as redis:
        worker = WorkerRecord(
            id="w", service="lab", version="1", handlers=[], host="h", pid=1, started_at="now"
        )
        await Registry(redis).announce(list(handlers), worker, lease=Settings().lease)
        yield redis


@asynccontextmanager
async def served(app: FastAPI) -> AsyncGenerator[AsyncClient]:
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", lifespan="on"))
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(server.serve())

        async def started() -> bool:
            return server.started or serving.done()

        await until(started)
        port = server.servers[0].sockets[0].getsockname()[1]
        try:
            async with AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
                yield client
        finally:
            server.should_exit = True


def app_with(settings: Settings, endpoint: Callable[..., Any], **options: Any) -> FastAPI:
    app = FastAPI(lifespan=durable_tasks(settings))
    app.add_api_route("/", endpoint, methods=["POST"], **options)
    return app


async def answer_of(settings: Settings, endpoint: Callable[..., Any], **options: Any) -> Response:
    async with served(app_with(settings, endpoint, **options)) as client:
        return await client.post("/")


async def enqueued(redis: Any) -> list[str]:
    """The data of each job that lies on the queue, oldest first."""
    return [fields[b"data"].decode() for _, fields in await redis.xrange("queue:{lab.greet}")]


async def test_the_tasks_of_a_request_become_jobs_that_a_worker_runs(settings: Settings, redis: Any) -> None:
    async def signup(tasks: DurableTasks) -> list[str]:
        return [
            tasks.add_task("lab.greet", name="by fields", loud=True),
            tasks.add_task("lab.greet", {"name": "by mapping"}),
            tasks.add_task("lab.greet", Greeting(name="by event")),
            tasks.add_task(greet, Greeting(name="by function")),
            tasks.add_task(greet, name="by function and fields"),
        ]

    job_ids = (await answer_of(settings, signup)).json()
    service = Service("lab", handlers, settings)
    await service.start()
    try:

        async def done() -> bool:
            jobs = await JobReader(redis).get(job_ids)
            return all(job is not None and job.state == "succeeded" for job in jobs)

        await until(done, within=20)
    finally:
        await service.stop()

    assert sorted(greeted) == [
        "by event",
        "by fields",
        "by function",
        "by function and fields",
        "by mapping",
    ]


async def test_the_jobs_are_there_before_the_answer_even_if_the_app_dies_with_it(
    redis_url: str, redis: Any
) -> None:
    port = free_port()
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": ":".join(sys.path), "REDIS_URL": redis_url}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.shared.background_app", env={**environment, "PORT": str(port)}
    )
    try:
        async with AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:

            async def answers() -> bool:
                try:
                    return (await client.get("/docs")).status_code == 200
                except ConnectError:
                    return False

            await until(answers, within=30)
            answer = await client.post("/signup")
        async with asyncio.timeout(20):
            assert await process.wait() == 137
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()

    assert answer.status_code == 200
    assert await enqueued(redis) == ['{"name":"Ada"}']
    [(_, fields)] = await redis.xrange("queue:{lab.greet}")
    assert answer.json()["job"] == f"lab.greet:{fields[b'ce-id'].decode()}"
    assert await redis.get("written") is None  # what FastAPI's own BackgroundTasks had to do


async def test_a_sync_endpoint_and_its_dependencies_share_the_tasks(settings: Settings, redis: Any) -> None:
    def visitor(tasks: DurableTasks) -> str:
        tasks.add_task("lab.greet", name="from the dependency")
        return "Ada"

    def signup(name: Annotated[str, Depends(visitor)], tasks: DurableTasks) -> None:
        tasks.add_task("lab.greet", name=name)

    answer = await answer_of(settings, signup)

    assert answer.status_code == 200
    assert await enqueued(redis) == ['{"name":"from the dependency"}', '{"name":"Ada"}']


async def test_an_endpoint_that_raises_enqueues_nothing(settings: Settings, redis: Any) -> None:
    async def refuse(tasks: DurableTasks) -> None:
        tasks.add_task("lab.greet", name="Ada")
        raise HTTPException(409, "taken")

    async def fail(tasks: DurableTasks) -> None:
        tasks.add_task("lab.greet", name="Ada")
        raise RuntimeError("a defect")

    async def answer_wrongly(tasks: DurableTasks) -> Any:
        tasks.add_task("lab.greet", name="Ada")
        return "no number"

    answers = [
        await answer_of(settings, refuse),
        await answer_of(settings, fail),
        await answer_of(settings, answer_wrongly, response_model=int),
    ]

    assert [answer.status_code for answer in answers] == [409, 500, 500]
    assert await enqueued(redis) == []


@pytest.mark.parametrize(("handler", "data"), [("lab.nobody", {}), ("lab.greet", {"name": object()})])
async def test_of_several_tasks_none_is_enqueued_unless_all_are_valid(
    settings: Settings, redis: Any, handler: str, data: dict[str, Any]
) -> None:
    async def signup(tasks: DurableTasks) -> None:
        tasks.add_task("lab.greet", name="Ada")
        tasks.add_task(handler, data)

    answer = await answer_of(settings, signup)

    assert answer.status_code == 500
    assert await enqueued(redis) == []


async def test_without_redis_the_answer_is_503(settings: Settings) -> None:
    async def signup(tasks: DurableTasks) -> None:
        tasks.add_task("lab.greet", name="Ada")

    away = settings.model_copy(update={"redis_url": Secret("redis://127.0.0.1:1/0")})

    answer = await answer_of(away, signup)

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")


async def test_a_request_without_tasks_does_not_need_redis(settings: Settings) -> None:
    async def nothing(tasks: DurableTasks) -> str:
        assert isinstance(tasks, Tasks)
        return "fine"

    away = settings.model_copy(update={"redis_url": Secret("redis://127.0.0.1:1/0")})

    assert (await answer_of(away, nothing)).json() == "fine"


async def test_an_endpoint_may_enqueue_by_itself(settings: Settings, redis: Any) -> None:
    async def once(queues: JobQueues) -> list[Any]:
        return [await queues.enqueue("lab.greet", {"name": "Ada"}, unique_key="ada") for _ in range(2)]

    first, second = (await answer_of(settings, once)).json()

    assert (first[1], second[1]) == (True, False)
    assert first[0] == second[0]
    assert len(await enqueued(redis)) == 1


async def test_a_task_that_is_added_after_the_return_is_refused(settings: Settings, redis: Any) -> None:
    told: list[str] = []

    async def stream(tasks: DurableTasks) -> StreamingResponse:
        async def body() -> AsyncIterator[bytes]:
            try:
                tasks.add_task("lab.greet", name="too late")
            except RuntimeError as error:
                told.append(str(error))
            yield b"fine"

        return StreamingResponse(body())

    answer = await answer_of(settings, stream)

    assert answer.text == "fine"
    assert "the endpoint has returned" in told[0]
    assert await enqueued(redis) == []


async def test_an_app_that_was_not_given_its_queues_says_so() -> None:
    app = FastAPI()

    @app.exception_handler(RuntimeError)
    async def tell(_: Any, error: Exception) -> PlainTextResponse:
        return PlainTextResponse(str(error), 500)

    @app.post("/")
    async def signup(tasks: DurableTasks) -> None:
        tasks.add_task("lab.greet", name="Ada")

    async with served(app) as client:
        answer = await client.post("/")

    assert answer.text == "this app has no queues; make it with FastAPI(lifespan=durable_tasks())"


def not_registered(name: str) -> None:
    del name


@pytest.mark.parametrize(
    ("arguments", "data", "said"),
    [
        ((not_registered,), {"name": "Ada"}, "not_registered is no handler; register it with @handlers.on"),
        ((lambda: None,), {}, "is no handler"),
        (("lab.greet", "Ada"), {}, "each field needs its name; got str"),
        (("lab.greet", Greeting(name="Ada")), {"name": "Ada"}, "not both"),
        ((greet, Other()), {}, "lab.greet works on lab.greeting, not on lab.other"),
        ((greet,), {"nome": "Ada"}, "name\n  Field required"),
        ((greet,), {"name": 7}, "Input should be a valid string"),
    ],
)
async def test_what_can_be_no_task_is_refused_where_it_is_added(
    settings: Settings, redis: Any, arguments: tuple[Any, ...], data: dict[str, Any], said: str
) -> None:
    refused: list[Exception] = []

    async def signup(tasks: DurableTasks) -> None:
        try:
            tasks.add_task(*arguments, **data)
        except (TypeError, ValueError) as error:
            refused.append(error)

    assert (await answer_of(settings, signup)).status_code == 200
    assert said in str(refused[0])
    assert await enqueued(redis) == []
