"""A gateway with a worker in; the command line that asks it as a user would, and what it printed, out."""

import asyncio
import json
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import structlog
from redis.asyncio import Redis
from typer.testing import CliRunner

from gateway.door.keys import ApiKeys
from gateway.settings import GatewaySettings
from launcher.cli import app
from shared.contracts import EmailRequested, Event, UserRegistered
from shared.jobs import Handlers, Job, Retry
from shared.service import Service
from shared.settings import Secret, Settings
from tests.conftest import Background, Servers, own_database
from tests.gateway.door.conftest import KEYS, served

MAIL = {"email_id": "m-1", "to": "ada@example.com", "subject": "Hello", "text": "Good morning."}
USER = {"user_id": "7", "name": "Grace", "email": "grace@example.com"}


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[list[str]]:
        """The lines for programs."""
        return [line.split("\t") for line in self.out.splitlines()]

    @property
    def facts(self) -> dict[str, str]:
        return {row[0]: row[1] for row in self.rows if len(row) == 2}

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class System:
    """The gateway's address, and the command line that knows it."""

    url: str

    def run(self, *words: str, key: str = "all-of-it", stdin: str | None = None) -> Ran:
        environment = {"TRUNKLINE_URL": self.url, "TRUNKLINE_API_KEY": key}
        result = CliRunner().invoke(app, words, input=stdin, env=environment)
        return Ran(result.exit_code, result.stdout, result.stderr)

    def publish(self, type_: str = "email.requested", **data: str) -> str:
        """Publish an event and wait for its jobs; the id of the first job."""
        given = {"email.requested": MAIL, "user.registered": USER}[type_] | data
        ran = self.run("events", "publish", type_, json.dumps(given), "--wait", "--json")
        return str(ran.json["jobs"][0]["id"])


def handlers() -> Handlers:
    """Mails are sent, but for the text `fail`; users are greeted."""
    lab = Handlers("lab")

    @lab.on(EmailRequested, retry=Retry(attempts=1))
    async def send(event: EmailRequested, job: Job) -> dict[str, str]:
        if event.text == "fail":
            raise ValueError("relay says \x1b[31mno\x1b[0m")
        await job.progress(1, 1, "sent")
        return {"sent": event.email_id}

    @lab.on(UserRegistered)
    async def greet(event: UserRegistered) -> Event | None:
        del event
        return None

    return lab


@asynccontextmanager
async def _working(settings: GatewaySettings) -> AsyncGenerator[str]:
    service = Service(
        "lab",
        handlers(),
        Settings(redis_url=settings.redis_url, nats_url=settings.nats_url, buses="redis", log_level="error"),
    )
    async with served(settings) as client:
        await service.start()
        try:
            yield str(client.base_url)
        finally:
            await service.stop()


@contextmanager
def quiet() -> Generator[None]:
    """What a gateway in this process logs is no command's output."""
    configure: Any = structlog.configure

    def quietly(**options: Any) -> None:
        silent = structlog.make_filtering_bound_logger("critical")
        configure(**options | {"cache_logger_on_first_use": False, "wrapper_class": silent})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(structlog, "configure", quietly)
        quietly()
        yield
    structlog.reset_defaults()


@contextmanager
def running(servers: Servers, migrated: str) -> Generator[System]:
    """A gateway and a worker, in a thread of their own: commands have event loops themselves."""
    background = Background()
    with own_database(servers, migrated) as database_url:
        settings = GatewaySettings(
            redis_url=Secret(servers.redis.url),
            nats_url=Secret(servers.nats.url),
            database_url=Secret(database_url),
            api_keys=ApiKeys.parse(KEYS),
            buses="redis",
            handles_events=False,
        )
        ended = asyncio.Event()

        async def run(ready: asyncio.Future[str]) -> None:
            async with Redis.from_url(servers.redis.url) as redis:
                await redis.flushall()
            try:
                async with _working(settings) as url:
                    ready.set_result(url)
                    await ended.wait()
            except BaseException as error:
                if not ready.done():
                    ready.set_exception(error)
                raise

        async def start() -> tuple[asyncio.Task[None], str]:
            ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            task = asyncio.create_task(run(ready))
            return task, await ready

        async def stop(task: asyncio.Task[None]) -> None:
            ended.set()
            await task

        task, url = background.run(start())
        try:
            yield System(url.rstrip("/"))
        finally:
            background.run(stop(task))
            background.close()
